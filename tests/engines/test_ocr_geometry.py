from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.ocr.detector import mean_inside, network_size, text_rectangles
from engines.ocr.geometry import along_text, angle, crop, overturned, size, upright
from engines.ocr.order import direction, reading_order


def box(x: float, y: float, width: float, height: float = 10) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def turned(quad: np.ndarray, degrees: float) -> np.ndarray:
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rotated: np.ndarray = (quad @ np.array([[cosine, sine], [-sine, cosine]])).astype(np.float32)
    return rotated


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)])
def test_upright_sorts_the_corners(order: tuple[int, ...]) -> None:
    assert np.array_equal(upright(box(5, 7, 30)[list(order)]), box(5, 7, 30))


def test_a_tall_box_is_read_downwards() -> None:
    quad = along_text(box(0, 0, 10, 40))
    assert quad[0].tolist() == [10, 0]
    assert size(quad) == (40, 10)
    assert angle(quad) == pytest.approx(math.pi / 2)
    assert angle(overturned(quad)) == pytest.approx(-math.pi / 2)


def test_crop_turns_the_text_upright() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[10:20, 40:50] = 255  # the start of a text that runs downwards
    cut = crop(image, along_text(box(40, 10, 10, 40)))
    assert cut.shape == (10, 40, 3)
    assert cut[2:-2, :8].min() > 200
    assert cut[:, 12:].max() < 50


@given(
    st.integers(1, 50_000),
    st.integers(1, 50_000),
    st.integers(64, 4000),
)
def test_network_size_is_bounded_and_in_strides(width: int, height: int, limit: int) -> None:
    got = network_size(width, height, limit)
    assert all(side % 32 == 0 and 32 <= side <= limit for side in got)
    if max(width, height) < limit:  # never enlarged by more than the rounding
        assert got[0] <= width + 32 and got[1] <= height + 32


def test_rectangles_of_a_map_grow_by_the_unclip_ratio() -> None:
    probabilities = np.zeros((96, 192), np.float32)
    probabilities[40:50, 30:130] = 0.9
    probabilities[80:82, 30:31] = 0.9  # a speck
    probabilities[10:20, 30:130] = 0.35  # text at no pixel's word
    ((score, (centre, sides, _)),) = text_rectangles(probabilities)
    assert 0.8 < score <= 0.9
    assert centre == pytest.approx((79.5, 44.5), abs=1)
    width, height = max(sides), min(sides)
    assert width - 100 == pytest.approx(height - 10, abs=1.5)
    assert height == pytest.approx(10 + 1.6 * 100 * 10 / 110, abs=2)


def test_mean_inside_may_reach_over_the_edge() -> None:
    assert mean_inside(np.ones((20, 20), np.float32), box(-5, -5, 40, 40)) == pytest.approx(1)


TWO_ROWS = [box(60, 12, 40), box(0, 10, 50), box(0, 30, 50), box(60, 28, 40)]


@pytest.mark.parametrize("degrees", [0, 4, -4, 90, 180, 270, 185])
def test_rows_are_read_as_the_text_stands(degrees: float) -> None:
    assert reading_order([turned(quad, degrees) for quad in TWO_ROWS]) == [1, 0, 2, 3]


def test_a_price_list_stays_rows() -> None:
    names = [box(0, 20 * row, 80) for row in range(5)]
    prices = [box(150, 20 * row, 30) for row in range(5)]
    assert reading_order(names + prices) == [0, 5, 1, 6, 2, 7, 3, 8, 4, 9]


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    title = [box(40, 0, 230)]
    left = [box(0, 30 + 12 * row, 140) for row in range(5)]
    right = [box(160, 31 + 12 * row, 140) for row in range(5)]
    assert reading_order([*right, *title, *left]) == [5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4]


def test_direction_is_the_longest_texts() -> None:
    quads = [box(0, 0, 100), box(0, 20, 100), turned(box(0, 0, 50), 90)]
    assert direction(quads) == pytest.approx(0, abs=1e-6)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1000),
            st.floats(0, 1000),
            st.floats(1, 500),
            st.floats(1, 100),
            st.floats(0, 360),
        ),
        max_size=40,
    )
)
def test_order_leaves_nothing_out(boxes: list[tuple[float, float, float, float, float]]) -> None:
    quads = [turned(box(x, y, width, height), degrees) for x, y, width, height, degrees in boxes]
    assert sorted(reading_order(quads)) == list(range(len(quads)))
