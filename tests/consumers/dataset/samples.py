"""Captions and priors as a reader of the topics gets them, of the project's experts and another."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import fastavro

from schemas.files import findings_schema, load, prior_schema

NOW = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)

# The findings of an expert from some other package: everything that Avro has.
FOREIGN: dict[str, Any] = {
    "type": "record",
    "name": "PoseFindings",
    "namespace": "org.other",
    "fields": [
        {"name": "status", "type": {"type": "enum", "name": "Pose", "symbols": ["sits", "stands"]}},
        {"name": "joints", "type": {"type": "map", "values": "float"}},
        {"name": "mask", "type": ["null", "bytes"], "default": None},
        {
            "name": "root",
            "type": {
                "type": "record",
                "name": "Limb",
                "fields": [
                    {"name": "length", "type": "double"},
                    {"name": "limbs", "type": {"type": "array", "items": "Limb"}},
                ],
            },
        },
        {"name": "either", "type": ["null", "string", "long", {"type": "array", "items": "int"}]},
        {"name": "nothing", "type": "null"},
        {"name": "bare", "type": {"type": "record", "name": "Bare", "fields": []}},
        {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "grid", "type": {"type": "array", "items": {"type": "array", "items": "int"}}},
        {"name": "more", "type": {"type": "array", "items": ["null", "Pose"]}},
    ],
}
POSE: dict[str, Any] = {
    "status": "sits",
    "joints": {"knee": 0.5, "elbow": 0.25},
    "mask": b"\x00\xff",
    "root": {"length": 1.5, "limbs": [{"length": 0.5, "limbs": []}]},
    "either": 7,
    "nothing": None,
    "bare": {},
    "seen": NOW,
    "grid": [[1, 2], [], [3]],
    "more": [None, "stands"],
}
FINDINGS = {
    "detection": findings_schema("detection"),
    "tagging": findings_schema("tagging"),
    "ocr": findings_schema("ocr"),
    "knowledge": findings_schema("knowledge"),
    "pose": FOREIGN,
}
FOUND: dict[str, dict[str, Any]] = {
    "detection": {
        "boxes": [{"label": 'a "dog"', "score": 0.5, "x0": 0.0, "y0": 0.25, "x1": 0.5, "y1": 1.0}]
    },
    "tagging": {"tags": [], "kinds": []},
    "ocr": {"lines": [{"text": "出口\n1", "score": 1.0, "polygon": [0.0, 0.5, 1.0, 0.5]}]},
    "knowledge": {"statements": [{"text": "A dog.", "source": "alt-text"}]},
    "pose": POSE,
}


def through_avro(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The value as a reader of the topic gets it."""
    out = io.BytesIO()
    parsed = fastavro.parse_schema(schema)
    fastavro.schemaless_writer(out, parsed, value)
    out.seek(0)
    read = fastavro.schemaless_reader(out, parsed, None)
    assert isinstance(read, dict)
    return read


def decoded_prior(expert: str, reason: str | None = None) -> dict[str, Any]:
    value = {
        "image_id": "a",
        "partition": 0,
        "offset": 5,
        "object_key": "images/a",
        "expert": expert,
        "model": "m",
        "model_version": "1",
        "status": "failed" if reason else "ok",
        "reason": reason,
        "findings": None if reason else FOUND[expert],
        "seconds": 0.5,
        "made_at": NOW,
    }
    return through_avro(prior_schema(FINDINGS[expert]), value)


def decoded_caption(offset: int, missing: list[str]) -> dict[str, Any]:
    image = {
        "image_id": "a",
        "object_key": "images/a",
        "width": 640,
        "height": 480,
        "mime": "image/jpeg",
        "size": 9,
        "phash": "0",
        "url_id": "u",
        "url": "https://example.org/ä.jpg",
        "alt_text": None,
        "page_url": None,
        "published_at": NOW,
        "fetched_at": NOW,
    }
    value = {
        "image_id": "a",
        "partition": 3,
        "offset": offset,
        "text": "A dog.\nIt sits.",
        "engine": "compose",
        "saw_image": False,
        "prompt_version": "v1",
        "finish": "stop",
        "seconds": 0.5,
        "captioned_at": NOW,
        "image": image,
        "priors": [],
        "missing": [{"expert": name, "reason": "silent"} for name in missing],
    }
    return through_avro(load("Caption"), value)
