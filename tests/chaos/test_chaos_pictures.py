"""The pictures say their number, through the project's own decoding, and are what they claim."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from consumers.fetch.inspect import inspect
from consumers.stage import Rejected
from engines.images import decode
from tests.chaos import pictures

NUMBERS = [*range(60), 255, 65_535, 19_999, 1_000_003, 2**32 - 1]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_picture_says_its_number(number: int) -> None:
    pixels = decode(pictures.picture(number))
    assert pictures.read(pixels) == number
    high, wide = pixels.shape[:2]
    assert pictures.findings(number)["size"] == {"width": wide, "height": high}
    assert min(high, wide) >= pictures.MIN_SHORT_EDGE


def test_a_wrong_tile_is_seen() -> None:
    pixels = np.array(decode(pictures.picture(77)))
    pixels[: pictures.TILE, : pictures.TILE] = 255 - pixels[: pictures.TILE, : pictures.TILE]
    with pytest.raises(ValueError, match="no number"):
        pictures.read(pixels)


def test_all_good_ones_differ() -> None:
    ids = {hashlib.sha256(pictures.picture(number)).digest() for number in range(3000)}
    assert len(ids) == 3000


def test_each_kind_is_served_as_what_it_is() -> None:
    seen: Counter[str] = Counter()
    for number in range(600):
        expected = pictures.expected(f"http://pictures/{number}", number, seed=4)
        seen[expected.kind] += 1
        if expected.kind == "missing":
            continue
        data = pictures.body(number, 4)
        if expected.reason is None:
            assert hashlib.sha256(data).hexdigest() == expected.image_id
            assert pictures.read(decode(data)) == expected.number
            continue
        with pytest.raises(Rejected) as rejected:
            inspect(data, max_pixels=1 << 20, min_short_edge=pictures.MIN_SHORT_EDGE)
        assert rejected.value.reason == expected.reason
    assert set(seen) == {"good", "flaky", "duplicate", "missing", "small", "text", "cut"}


def test_a_duplicate_repeats_a_good_one_of_before() -> None:
    for number in range(2000):
        if pictures.kind(number, 9) == "duplicate":
            repeated = pictures.original(number, 9)
            assert repeated <= number
            assert repeated == number or pictures.kind(repeated, 9) == "good"
