"""On the real weights, with text drawn in the font that OpenCV brings."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from engines.errors import EngineError
from engines.ocr import Reader, models
from engines.ocr.detector import TextDetector
from engines.ocr.geometry import crop
from engines.ocr.reader import is_text
from engines.ocr.recogniser import MAX_COLUMNS, MAX_WIDTH, TextRecogniser, bucket
from engines.session import Session

TEXTS = ["OPEN 24 HOURS", "Café Müller, Größe 42", "2 for $9.99 (50% off!)"]


Colour = tuple[int, int, int]


def draw(
    texts: list[str],
    ink: Colour = (0, 0, 0),
    paper: Colour = (224, 200, 144),
    size: int = 36,
) -> np.ndarray:
    image = np.full((100 * len(texts), 640, 3), paper, np.uint8)
    for row, text in enumerate(texts):
        at = (60, 100 * row + 60)
        cv2.putText(image, text, at, ink, cv2.FontFace("sans"), size)
    return image


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.load(max_side=640)


@pytest.fixture(scope="module")
def recogniser() -> TextRecogniser:
    return TextRecogniser(Session(models.find(models.RECOGNISER)), max_batch=4)


def texts(reader: Reader, image: np.ndarray) -> list[str]:
    return [line.text for line in reader.read([image])[0]]


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((0, 0, 0), (255,) * 3), ((255, 255, 255), (0, 0, 128)), ((119,) * 3, (187,) * 3)],
)
def test_text_is_read_letter_for_letter_in_order(
    reader: Reader, ink: Colour, paper: Colour
) -> None:
    assert texts(reader, draw(TEXTS, ink=ink, paper=paper)) == TEXTS


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_text_is_read(reader: Reader, quarters: int) -> None:
    image = np.rot90(draw(TEXTS), quarters)
    lines = reader.read([image])[0]
    assert [line.text for line in lines] == TEXTS
    # The first corner is the text's own top left, wherever that is now.
    x, y = lines[0].polygon[0]
    corner = {1: (0, 1), 2: (1, 1), 3: (1, 0)}[quarters]
    assert abs(x - corner[0]) < 0.3 and abs(y - corner[1]) < 0.3


def test_polygons_are_where_the_text_is(reader: Reader) -> None:
    image = draw(["OPEN 24 HOURS"])
    ((line,),) = reader.read([image])
    dark = np.argwhere(image.max(axis=2) < 60)
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0)
    expected = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for (x, y), (u, v) in zip(line.polygon, expected, strict=True):
        assert abs(x * 640 - u) < 15 and abs(y * 100 - v) < 15
    assert 0.9 < line.score <= 1


def test_images_of_one_call_do_not_mix(reader: Reader) -> None:
    images = [draw([TEXTS[0]]), np.zeros((300, 640, 3), np.uint8), draw(TEXTS[1:])]
    got = [[line.text for line in lines] for lines in reader.read(images)]
    assert got == [[TEXTS[0]], [], TEXTS[1:]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 2), (33, 31), (700, 500)])
def test_any_shape_is_taken(reader: Reader, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert reader.read([noise]) == [[]]


def test_a_large_picture_is_read_too(reader: Reader) -> None:
    image = cv2.resize(draw(TEXTS), (4000, 1875))
    assert texts(reader, image) == TEXTS


def test_the_number_of_boxes_is_bounded() -> None:
    detector = TextDetector(Session(models.find(models.DETECTOR)), max_side=640, max_boxes=2)
    (boxes,) = detector.detect([draw(TEXTS)])
    assert len(boxes) == 2
    assert boxes[0].score >= boxes[1].score


def test_batching_changes_no_result(recogniser: TextRecogniser) -> None:
    image = draw(TEXTS)
    detector = TextDetector(Session(models.find(models.DETECTOR)), max_side=640)
    crops = [crop(image, each.quad) for each in detector.detect([image])[0]] * 3
    together = recogniser.recognise(crops)
    for one, (text, score) in zip(crops, together, strict=True):
        ((alone, its_score),) = recogniser.recognise([one])
        assert alone == text
        assert its_score == pytest.approx(score, abs=1e-3)


def test_batches_are_bounded(recogniser: TextRecogniser) -> None:
    widths = [50, 2400, 51, 300, 2399, 2398, 52, 53, 54, 310]
    batches = list(recogniser._batches(widths))
    assert sorted(index for _, members in batches for index in members) == list(range(10))
    for padded, members in batches:
        assert len(members) <= 4 and len(members) * padded <= MAX_COLUMNS
        assert all(widths[index] <= padded <= widths[index] * 1.3 + 16 for index in members)


def test_a_very_long_crop_is_squeezed(recogniser: TextRecogniser) -> None:
    assert bucket(MAX_WIDTH) == MAX_WIDTH
    ((text, score),) = recogniser.recognise([np.full((4, 3000, 3), 200, np.uint8)])
    assert (text, score) == ("", 0.0)


@pytest.mark.parametrize(
    ("text", "score", "kept"),
    [
        ("8", 0.985, False),  # a cup
        ("0000", 0.832, False),  # foliage
        ("5000", 0.85, False),
        ("***", 1.0, False),
        ("", 0.0, False),
        ("B", 1.0, True),
        ("HI", 0.901, True),
        ("TOLL $3.50", 0.82, True),
        ("YANAHA", 0.752, False),
    ],
)
def test_what_counts_as_text(text: str, score: float, kept: bool) -> None:
    assert is_text(text, score) is kept


def test_a_model_without_characters_is_refused() -> None:
    with pytest.raises(EngineError, match="character"):
        TextRecogniser(Session(models.find(models.DETECTOR)))


def test_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(EngineError, match="PP-OCRv9"):
        models.find("PP-OCRv9.onnx")


def test_rapidocr_itself_is_not_loaded() -> None:
    code = (
        "import sys; from engines.ocr import Reader; Reader.load();"
        "print([name for name in ('rapidocr', 'requests', 'omegaconf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
