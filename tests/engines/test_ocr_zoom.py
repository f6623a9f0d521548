"""The size at which the text detector looks, chosen by what is in the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.ocr import Reader, models
from engines.ocr.detector import STRIDE, Box, TextDetector
from engines.ocr.zoom import Region, ZoomingDetector, _window, fine_strokes, join
from engines.session import Session


class Counted(TextDetector):
    """The real detector, and how many pixels it was given."""

    pixels = 0

    def find(self, image: np.ndarray, target: tuple[int, int]) -> list[Box]:
        self.pixels += target[0] * target[1]
        return super().find(image, target)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(models.find(models.DETECTOR))


def paper(text: str, size: int, at: tuple[int, int] = (300, 400)) -> np.ndarray:
    image = np.full((768, 1024, 3), 190, np.uint8)
    cv2.putText(image, text, at, (20, 20, 20), cv2.FontFace("sans"), size)
    return image


def looked(session: Session, image: np.ndarray) -> tuple[list[Box], int]:
    counted = Counted(session)
    (boxes,) = ZoomingDetector(counted).detect([image])
    return boxes, counted.pixels


@pytest.mark.parametrize("size", [11, 14, 24, 60])
def test_a_line_of_any_height_is_found_where_it_is_at_a_fraction_of_the_pixels(
    session: Session, size: int
) -> None:
    image = paper("Fresh bread", size)
    ((box,), pixels) = looked(session, image)
    dark = np.argwhere(image.max(axis=2) < 100)[:, ::-1]
    low, high = dark.min(axis=0), dark.max(axis=0)
    assert np.abs(box.quad.min(axis=0) - low).max() < 6 + size / 2
    assert np.abs(box.quad.max(axis=0) - high).max() < 6 + size / 2
    assert pixels < 0.5 * 960 * 720


def test_where_there_is_nothing_there_is_one_look(session: Session) -> None:
    boxes, pixels = looked(session, paper("", 20))
    assert boxes == []
    assert pixels < 0.25 * 960 * 720


def test_small_print_all_over_is_looked_at_once(session: Session) -> None:
    image = paper("", 20)
    for row in range(40):
        at = (20, 24 + 18 * row)
        text = "the quick brown fox jumps over the lazy dog, " * 3
        cv2.putText(image, text, at, (20, 20, 20), cv2.FontFace("sans"), 12)
    counted = Counted(session)
    (boxes,) = ZoomingDetector(counted).detect([image])
    assert counted.pixels in (960 * 704, 960 * 736)
    assert len(boxes) >= 38


def test_fine_strokes_are_told_from_noise_and_from_edges() -> None:
    noise = np.random.default_rng(0).normal(0, 8, (768, 1024, 3))
    plain = paper("", 20)
    plain[:, 500:] = 40  # one hard edge
    noisy = np.clip(plain + noise, 0, 255).astype(np.uint8)
    assert fine_strokes(noisy, 1.0) == []
    ((left, top, right, bottom),) = fine_strokes(paper("Fresh bread", 12), 1.0)
    assert left <= 300 and right >= 360 and top <= 390 and bottom >= 400
    assert (right - left) * (bottom - top) < 0.05 * 768 * 1024


@given(st.lists(st.tuples(*[st.integers(0, 400)] * 2, *[st.integers(1, 200)] * 2), max_size=12))
def test_joined_regions_lie_apart_and_lose_no_box(
    places: list[tuple[int, int, int, int]],
) -> None:
    regions = []
    for number, (x, y, width, height) in enumerate(places):
        corners = np.array([x, y, x + width, y + height], np.float32)
        regions.append(Region(corners, number / 10, [Box(np.zeros((4, 2), np.float32), number)]))
    found = join(regions)
    assert sorted(box.score for each in found for box in each.boxes) == list(range(len(places)))
    for number, one in enumerate(found):
        assert one.scale == max(box.score for box in one.boxes) / 10
        for other in found[:number]:
            apart = (one.corners[:2] > other.corners[2:]) | (other.corners[:2] > one.corners[2:])
            assert apart.any()


@given(st.floats(0, 900), st.floats(1, 300), st.floats(0.1, 2), st.integers(40, 1000))
def test_a_window_is_whole_strides_within_the_picture(
    low: float, length: float, scale: float, limit: int
) -> None:
    low = min(low, limit - 1.0)
    high = min(low + length, limit)
    start, end = _window(low, high, scale, limit)
    assert 0 <= start < end <= limit
    if end - start < limit:
        assert start <= low + 1 and end >= high - 1
        assert (end - start) * scale % STRIDE < scale + 1e-3


def test_crops_of_several_images_share_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader.load()
    runs: list[int] = []
    run = Session.run

    def spy(self: Session, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        (array,) = feeds.values()
        if array.shape[2] == 48 and array.shape[3] != 192:
            runs.append(len(array))
        return run(self, feeds)

    monkeypatch.setattr(Session, "run", spy)
    pictures = [paper("Fresh bread", 40), paper("Fresh bread", 40, at=(200, 300))]
    assert [[line.text for line in lines] for lines in reader.read(pictures)] == [
        ["Fresh bread"],
        ["Fresh bread"],
    ]
    assert runs == [2]
