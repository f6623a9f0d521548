"""The expert of vectors, on the starter's weights: alike pictures lie near; it is a column."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastavro.validation import validate

from consumers.dataset.arrow import captions_schema
from consumers.expert import Prepares, Sighting
from consumers.experts.embedding import Embedding, FullEmbedding
from consumers.roster import expert_classes
from densefusion.settings import Experts
from engines.errors import EngineError
from engines.images import decode

EXAMPLES = Path(__file__).parents[2] / "examples"


def pixels(name: str) -> np.ndarray:
    return decode((EXAMPLES / name).read_bytes())


def reencoded(image: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    return decode(data.tobytes())


async def test_near_duplicates_lie_near_and_others_do_not() -> None:
    expert = Embedding(Experts(threads=1, max_batch=4))
    assert isinstance(expert, Prepares)
    await expert.open()
    shown = [pixels("cat.jpg"), reencoded(pixels("cat.jpg")), pixels("coffee.jpg")]
    found = await asyncio.gather(
        *(expert.find(Sighting({}, expert.prepare(each))) for each in shown)
    )
    await expert.close()
    assert all(validate(each, expert.schema()) for each in found)
    cat, again, coffee = (np.array(each["vector"]) for each in found)
    assert cat.shape == (1280,)
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-5)
    assert cat @ again > 0.65
    assert cat @ coffee < 0.5
    assert expert.describe(found[0]) == []
    assert (expert.provider, expert.pixels) == ("cpu", 224)


async def test_wants_to_be_open() -> None:
    with pytest.raises(EngineError, match="not open"):
        Embedding(Experts()).prepare(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(EngineError, match="not open"):
        await Embedding(Experts()).find(Sighting({}, np.zeros((9, 9, 3), np.uint8)))


def test_registered_for_both_profiles_and_a_column_of_the_dataset() -> None:
    assert expert_classes(["embedding"])["embedding"] is Embedding
    assert expert_classes(["embedding"], "full")["embedding"] is FullEmbedding
    columns = captions_schema({"embedding": Embedding.schema()})
    vector = columns.field("priors").type.field("embedding").type.field("vector")
    assert str(vector.type) == "list<item: float>"
