"""The expert on the real weights and the pictures that come with the project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastavro.validation import validate

from consumers.expert import Sighting
from consumers.experts.ocr import Ocr
from densefusion.settings import Experts
from engines.errors import EngineError
from schemas import prior_schema

EXAMPLES = Path(__file__).parents[2] / "examples"


def pixels(name: str) -> np.ndarray:
    image = cv2.imread(str(EXAMPLES / name))
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@pytest.fixture
async def expert() -> AsyncIterator[Ocr]:
    ocr = Ocr(Experts(threads=2, ocr_max_side=640))
    await ocr.open()
    yield ocr
    await ocr.close()


async def test_signs_are_read_and_textures_are_not(expert: Ocr) -> None:
    names = ["sign_exit.jpg", "sign_open.jpg", "wine.jpg", "coins.jpg", "officer.jpg"]
    found = await asyncio.gather(*(expert.find(Sighting({}, pixels(name))) for name in names))
    texts = [[line["text"] for line in findings["lines"]] for findings in found]
    assert texts[0] == ["EXIT 12B", "TOLL $3.50"]
    assert texts[1] == ["OPEN", "24 HOURS"]
    assert texts[2] == texts[3] == []
    assert "***" not in texts[4]
    for findings in found:
        assert validate(findings, expert.schema())
        for line in findings["lines"]:
            assert len(line["polygon"]) == 8
            assert all(0 <= value <= 1 for value in line["polygon"])
    assert prior_schema(expert.schema())["name"] == "Prior"


def test_lines_are_quoted_exactly_with_their_rectangle() -> None:
    line = {
        "text": "OPEN 24 HOURS",
        "score": 0.99,
        "polygon": [0.1, 0.2, 0.5, 0.21, 0.49, 0.3, 0.1, 0.3],
    }
    described = Ocr(Experts()).describe({"lines": [line]})
    assert described == ['"OPEN 24 HOURS" at [0.100, 0.200, 0.500, 0.300]']


async def test_find_wants_it_open_and_pixels(expert: Ocr) -> None:
    with pytest.raises(EngineError):
        await expert.find(Sighting({}, None))
    with pytest.raises(EngineError):
        await Ocr(Experts()).find(Sighting({}, np.zeros((9, 9, 3), np.uint8)))


def test_it_asks_for_enough_pixels_only() -> None:
    assert Ocr(Experts(ocr_max_side=640)).pixels == 960
