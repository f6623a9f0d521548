"""Records of the stream, for tests of what consumes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consumers.stage import Record
from schemas import Codec, findings_schema, prior_schema

NOW = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
EXPERTS = ("detection", "tagging", "ocr", "knowledge")


def codec() -> Codec:
    made = Codec()
    for expert in EXPERTS:
        made.add(f"Prior:{expert}", prior_schema(findings_schema(expert)))
    return made


CODEC = codec()


def url(number: int = 0) -> dict[str, Any]:
    return {
        "url_id": f"u{number}", "url": f"https://example.org/{number}.jpg", "alt_text": None,
        "page_url": None, "source": "list", "extra": {}, "published_at": NOW,
    }  # fmt: skip


def image(image_id: str = "abcdef") -> dict[str, Any]:
    return {
        **url(),
        "image_id": image_id,
        "object_key": f"images/ab/cd/{image_id}",
        "width": 640,
        "height": 480,
        "mime": "image/jpeg",
        "size": 1000,
        "phash": "0" * 16,
        "embedded": {},
        "fetched_at": NOW,
    }


def prior(expert: str, image_id: str = "abcdef", offset: int = 0, **changes: Any) -> dict[str, Any]:
    """An answer without findings' content; `changes` go over it."""
    findings: dict[str, Any] = {
        "detection": {"boxes": []},
        "tagging": {"tags": [], "kinds": []},
        "ocr": {"lines": []},
        "knowledge": {"statements": []},
    }[expert]
    return {
        "image_id": image_id,
        "partition": 0,
        "offset": offset,
        "object_key": f"images/ab/cd/{image_id}",
        "expert": expert,
        "model": "m",
        "model_version": "1",
        "status": "ok",
        "reason": None,
        "title": expert.title(),
        "lines": [],
        "findings": findings,
        "seconds": 0.5,
        "made_at": NOW,
    } | changes


def record(
    value: dict[str, Any], topic: str = "images", partition: int = 0, offset: int = 0
) -> Record:
    key = value.get("image_id") or value["url_id"]
    return Record(topic, partition, offset, key, value, b"raw")
