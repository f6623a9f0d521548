"""What the profile `full` does around its models, on a session that answers as it is told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engines.errors import EngineError
from engines.full import vocabulary
from engines.full.boxes import found
from engines.full.card import Card, Picture
from engines.full.open_vocabulary import OpenVocabulary
from engines.full.pictures import prepare, stretch
from engines.full.texts import Texts
from engines.session import Session

SQUARE = Card("owl", "0", Picture(32, 32, "square", "bilinear"))
Run = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]


class ToldSession:
    """Stands for a `Session`: answers by a function, and keeps what it was fed."""

    def __init__(self, answer: Run) -> None:
        self._answer = answer
        self.fed: list[Mapping[str, np.ndarray]] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.fed.append(feeds)
        return self._answer(feeds)


class LetterVectors:
    """Stands for `Texts`: a vector for each text, of ones as long as the text."""

    def embed(self, texts: list[str]) -> np.ndarray:
        return np.stack([np.full(4, len(text), np.float32) for text in texts])


def test_boxes_are_cut_to_the_picture_and_empty_ones_dropped() -> None:
    corners = np.array([[-0.5, 0.1, 0.4, 2.0], [0.2, 0.2, 0.2, 0.9], [0.1, 0.1, 0.2, np.nan]])
    (box,) = found(corners, np.full((3, 1), 0.9), ["cup"], score=0.5, limit=9)
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0, 0.1, 0.4, 1))


def test_one_object_in_two_patches_is_one_and_other_labels_stay() -> None:
    corners = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.52]])
    scores = np.array([[0.9, 0.6], [0.8, 0.1]])
    kept = found(corners, scores, ["cup", "mug"], score=0.5, limit=9, iou=0.5)
    assert [(box.label, box.score) for box in kept] == [("cup", 0.9), ("mug", 0.6)]
    assert len(found(corners, scores, ["cup", "mug"], score=0.5, limit=9)) == 3
    assert len(found(corners, scores, ["cup", "mug"], score=0.5, limit=1)) == 1


def test_each_picture_is_asked_its_own_and_padding_finds_nothing() -> None:
    def answer(feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        n, q = feeds["queries"].shape[:2]
        boxes = np.tile(np.array([0, 0, 0.5, 0.25], np.float32), (n, 1, 1))
        return [boxes, np.full((n, 1, q), 0.9, np.float32)]

    session = ToldSession(answer)
    detector = OpenVocabulary(
        cast(Session, session), SQUARE, cast(Texts, LetterVectors()), score=0.5
    )
    wide = detector.prepare(np.zeros((10, 20, 3), np.uint8), ["cat", "dog"])
    tall = detector.prepare(np.zeros((40, 20, 3), np.uint8), ["elephant"])
    ours, theirs = detector.run([wide, tall])
    (fed,) = session.fed
    assert fed["image"].shape == (2, 32, 32, 3) and fed["queries"].shape == (2, 8, 4)
    assert not fed["queries"][1, 1:].any() and not fed["queries"][0, 2:].any()
    assert sorted(box.label for box in ours) == ["cat", "dog"]
    assert [box.label for box in theirs] == ["elephant"]
    # The square is as wide as the picture, and twice as high: and the other way round.
    assert (ours[0].x1, ours[0].y1) == pytest.approx((0.5, 0.5))
    assert (theirs[0].x1, theirs[0].y1) == pytest.approx((1.0, 0.25))
    assert detector.run([]) == []


def test_texts_are_embedded_once_and_forgotten_in_turn(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
    words = {word: number for number, word in enumerate(["[UNK]", "cat", "dog", "tea"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.enable_padding(length=2)
    made.save(str(tmp_path / "tokenizer.json"))
    session = ToldSession(lambda feeds: [feeds["input_ids"].astype(np.float32)])
    texts = Texts(cast(Session, session), tmp_path / "model.onnx", remembered=2, batch=2)
    assert texts.embed(["dog", "cat", "dog"])[:, 0].tolist() == [2, 1, 2]
    assert [feeds["input_ids"].tolist() for feeds in session.fed] == [[[2, 0], [1, 0]]]
    texts.embed(["cat"])
    assert len(session.fed) == 1
    texts.embed(["tea"])  # dog, longest unused, goes
    texts.embed(["cat", "tea"])
    assert len(session.fed) == 2
    texts.embed(["dog"])
    assert len(session.fed) == 3
    with pytest.raises(EngineError, match="export the model again"):
        Texts(cast(Session, session), tmp_path / "elsewhere" / "model.onnx")


def test_a_card_is_what_was_written(tmp_path: Path) -> None:
    card = Card("m", "ab", Picture(2, 3, "crop", "bicubic", 4), ["cup"], 2.0, -1.0)
    card.write(tmp_path / "model.onnx")
    assert Card.read(tmp_path / "model.onnx") == card
    (tmp_path / "card.json").write_text('{"source": "m"}')
    with pytest.raises(EngineError, match=r"card\.json"):
        Card.read(tmp_path / "model.onnx")
    with pytest.raises(EngineError, match="no pictures"):
        Card("m", "ab").pictured()


def test_the_built_in_vocabulary_has_each_word_once() -> None:
    words: Any = vocabulary.built_in()
    assert len(words.tags) == len(set(words.tags)) > 1000
    assert {"tabby cat", "person"} <= set(words.tags) or "person" in words.tags
    assert "animal" in words.kinds and len(words.kinds) == len(set(words.kinds))


def test_pictures_keep_their_shape_or_not_as_asked() -> None:
    white = np.full((20, 40, 3), 255, np.uint8)
    square = prepare(white, Picture(40, 40, "square", "bilinear"))
    assert square[:20].all() and not square[20:].any()
    assert stretch(white).tolist() == [1, 2, 1, 2]
    assert prepare(white, Picture(8, 8, "whole", "bicubic")).shape == (8, 8, 3)
    marked = white.copy()
    marked[:, :8] = 0
    cropped = prepare(marked, Picture(10, 10, "crop", "bilinear", 10))
    assert cropped.shape == (10, 10, 3) and cropped.all()


def test_a_strip_is_prepared_in_little_memory() -> None:
    strip = np.zeros((20, 9000, 3), np.uint8)
    strip[:, 4500:] = 200
    tracemalloc.start()
    square = prepare(strip, Picture(90, 90, "square", "bilinear"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500e6  # its square alone would be 972 MB
    assert square[0, :44].max() == 0 and square[0, 47:].min() > 30
    assert not square[3:].any()
