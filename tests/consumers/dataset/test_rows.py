from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from consumers.dataset.arrow import captions_schema, rejects_schema
from consumers.dataset.rows import caption_row, json_line, reject_row
from schemas.files import findings_schema

NOW = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def prior(
    expert: str, findings: dict[str, Any] | None, reason: str | None = None
) -> dict[str, Any]:
    return {
        "image_id": "a" * 64,
        "partition": 2,
        "offset": 7,
        "object_key": "images/aa/aa/" + "a" * 64,
        "expert": expert,
        "model": f"{expert}-model",
        "model_version": "1",
        "status": "failed" if reason else "ok",
        "reason": reason,
        "title": "A Title",
        "lines": ["a line"],
        "findings": findings,
        "seconds": 0.25,
        "made_at": NOW,
    }


@pytest.fixture
def caption() -> dict[str, Any]:
    return {
        "image_id": "a" * 64,
        "partition": 2,
        "offset": 7,
        "text": "Zwei Äpfel.\nA \u2028second line.",
        "engine": "openai:m",
        "saw_image": True,
        "prompt_version": "v1",
        "version": 0,
        "finish": "length",
        "tokens_in": 10,
        "tokens_out": None,
        "price": 0.5,
        "seconds": 1.5,
        "captioned_at": NOW,
        "image": {
            "image_id": "a" * 64,
            "object_key": "images/aa/aa/" + "a" * 64,
            "width": 640,
            "height": 480,
            "mime": "image/jpeg",
            "size": 999,
            "phash": "0123456789abcdef",
            "url_id": "u" * 64,
            "url": "https://example.org/a.jpg",
            "alt_text": None,
            "page_url": None,
            "source": "list",
            "extra": {},
            "embedded": {},
            "published_at": NOW,
            "fetched_at": NOW,
        },
        "priors": [],
        "missing": [{"expert": "ocr", "reason": "silent for 300 s"}],
    }


@pytest.fixture
def reject() -> dict[str, Any]:
    return {
        "url_id": "u" * 64,
        "url": "https://example.org/a.jpg",
        "image_id": None,
        "stage": "fetch",
        "reason": "http-404",
        "detail": "",
        "duplicate_of": None,
        "rejected_at": NOW,
        "attempt": 1,
    }


def test_a_caption_row_has_the_schemas_columns_in_order(
    caption: dict[str, Any],
) -> None:
    row = caption_row(caption, {})
    assert list(row) == captions_schema({"tagging": findings_schema("tagging")}).names
    assert row["caption"] == caption["text"]
    assert row["url"] == "https://example.org/a.jpg"
    assert (row["partition"], row["offset"]) == (2, 7)


def test_a_reject_row_has_the_schemas_columns_in_order(reject: dict[str, Any]) -> None:
    row = reject_row(reject, 3, 11)
    assert list(row) == rejects_schema().names
    assert (row["partition"], row["offset"], row["reason"]) == (3, 11, "http-404")


def test_an_experts_findings_stand_beside_its_model(caption: dict[str, Any]) -> None:
    tags = [{"label": "cat", "score": 0.5}]
    row = caption_row(caption, {"tagging": prior("tagging", {"tags": tags, "kinds": []})})
    assert row["priors"]["tagging"] == {
        "model": "tagging-model",
        "model_version": "1",
        "status": "ok",
        "reason": None,
        "tags": tags,
        "kinds": [],
    }


def test_a_failed_expert_keeps_its_reason_and_no_findings(caption: dict[str, Any]) -> None:
    failed = prior("tagging", {"tags": []}, reason="out of memory")
    struct = caption_row(caption, {"tagging": failed})["priors"]["tagging"]
    assert (struct["status"], struct["reason"]) == ("failed", "out of memory")
    assert "tags" not in struct


def test_a_missing_expert_is_listed_and_null(caption: dict[str, Any]) -> None:
    row = caption_row(caption, {})
    assert row["missing_experts"] == ["ocr"]
    assert row["priors"] == {"ocr": None}


def test_an_expert_that_failed_and_is_listed_as_missing_keeps_its_reason(
    caption: dict[str, Any],
) -> None:
    row = caption_row(caption, {"ocr": prior("ocr", None, reason="bad model")})
    assert row["missing_experts"] == ["ocr"]
    assert row["priors"]["ocr"]["reason"] == "bad model"


def test_findings_named_like_the_priors_own_fields_give_way(caption: dict[str, Any]) -> None:
    struct = caption_row(caption, {"x": prior("x", {"status": "new", "score": 1.0})})["priors"]["x"]
    assert (struct["status"], struct["findings_status"], struct["score"]) == ("ok", "new", 1.0)


def test_a_json_line_is_one_line_of_strict_json(caption: dict[str, Any]) -> None:
    caption["price"] = float("nan")
    row = caption_row(caption, {"x": prior("x", {"mask": b"\x00\xff", "far": [float("inf")]})})
    line = json_line(row)
    assert len(line.splitlines()) == 1
    assert "Zwei Äpfel" in line
    read = json.loads(line, parse_constant=pytest.fail)
    assert list(read) == list(row)
    assert read["caption"] == caption["text"]
    assert read["price"] is None
    assert read["captioned_at"] == "2025-03-01T12:30:15.250+00:00"
    assert read["priors"]["x"]["mask"] == "AP8="
    assert read["priors"]["x"]["far"] == [None]
