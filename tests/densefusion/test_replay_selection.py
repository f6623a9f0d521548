"""Which ones are meant, and which have no way back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densefusion.cli.times import milliseconds
from densefusion.errors import SettingsError
from densefusion.replay.origin import Found, Origin
from densefusion.replay.selection import Selection, no_way_back

KNOWN = {f"p.{name}" for name in ("urls", "fetched", "images", "priors.ocr", "captions", "rejects")}


def found(
    topic: str | None = "p.urls", stage: str = "fetch", reason: str = "timeout", time: int = 1000
) -> Found:
    origin = Origin(topic, 0, 0, b"k", b"v", []) if topic is not None else None
    return Found("p.rejects/0/0", time, stage, reason, "u", origin, None if origin else "why")


@pytest.mark.parametrize(
    ("conditions", "meant"),
    [
        ({}, True),
        ({"reasons": ["timeout"]}, True),
        ({"reasons": ["connect", "timeout"]}, True),
        ({"reasons": ["time*"]}, True),
        ({"reasons": ["http-5*"]}, False),
        ({"reasons": ["TIMEOUT"]}, False),
        ({"stages": ["fetch"]}, True),
        ({"stages": ["curate"]}, False),
        ({"topics": ["urls"]}, True),
        ({"topics": ["p.urls"]}, False),
        ({"topics": ["images"]}, False),
        ({"since": 1000}, True),
        ({"since": 1001}, False),
        ({"until": 1000}, False),
        ({"until": 1001}, True),
        ({"since": 500, "until": 1500, "reasons": ["timeout"], "stages": ["fetch"]}, True),
        ({"since": 500, "until": 1500, "reasons": ["timeout"], "stages": ["fusion"]}, False),
    ],
)
def test_every_condition_holds(conditions: dict[str, Any], meant: bool) -> None:
    assert Selection(**conditions).means(found(), "p.") is meant


def test_without_an_origin_no_topic_fits() -> None:
    assert not Selection(topics=["urls"]).means(found(None), "p.")
    assert Selection().means(found(None), "p.")


@given(st.lists(st.integers(0, 2000), max_size=20), st.integers(0, 2000))
def test_since_and_until_divide(times: list[int], at: int) -> None:
    for time in times:
        one = found(time=time)
        assert Selection(since=at).means(one) is not Selection(until=at).means(one)


@pytest.mark.parametrize(
    ("topic", "stage", "reason", "why"),
    [
        ("p.urls", "fetch", "timeout", None),
        ("p.urls", "fetch", "SchemaError()", None),
        ("p.fetched", "curate", "ValueError()", None),
        ("p.fetched", "curate", "duplicate", "duplicate again"),
        ("p.images", "fusion", "caption-refused", None),
        ("p.images", "ocr", "ValueError()", "captioned twice"),
        ("p.priors.ocr", "fusion", "SchemaError()", "late"),
        ("p.captions", "dataset", "ArrowInvalid()", None),
        ("p.rejects", "dataset", "ArrowInvalid()", None),
        ("p.else", "fetch", "timeout", "no topic of this stream"),
        ("urls", "fetch", "timeout", "no topic of this stream"),
        (None, "fetch", "timeout", "why"),
    ],
)
def test_what_it_would_do_to_put_it_back(
    topic: str | None, stage: str, reason: str, why: str | None
) -> None:
    said = no_way_back(found(topic, stage, reason), "p.", KNOWN)
    assert said is None if why is None else why in (said or "")


NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-02-01", "2025-02-01T00:00:00+00:00"),
        ("2025-02-01T10:30", "2025-02-01T10:30:00+00:00"),
        ("2025-02-01T10:30+02:00", "2025-02-01T08:30:00+00:00"),
        ("90m", "2025-03-01T10:30:00+00:00"),
        ("6h", "2025-03-01T06:00:00+00:00"),
        ("2d", "2025-02-27T12:00:00+00:00"),
        (" 30s", "2025-03-01T11:59:30+00:00"),
    ],
)
def test_points_in_time(text: str, iso: str) -> None:
    expected = int(datetime.fromisoformat(iso).timestamp() * 1000)
    assert milliseconds(text, "--since", NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "6 hours", "-1h", "2025-13-01", "h"])
def test_what_is_no_point_in_time(text: str) -> None:
    with pytest.raises(SettingsError, match="--since"):
        milliseconds(text, "--since", NOW)
