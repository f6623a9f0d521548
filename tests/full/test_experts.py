"""The experts of the profile `full`, from open to lines, on exported random weights."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastavro.validation import validate

from consumers.expert import Expert, Prepares, Sighting
from consumers.experts.embedding import FullEmbedding
from consumers.experts.full_detection import FullDetection
from consumers.experts.full_tagging import FullTagging
from consumers.experts.open_vocabulary import Grounding
from densefusion.settings import Experts
from engines.catalogue import catalogue, configure
from engines.catalogue.locate import expected
from engines.errors import EngineError
from engines.full.card import Card
from tests.full.conftest import Export, photograph

TAGGED = {
    "status": "ok",
    "reason": None,
    "findings": {
        "tags": [{"label": "tabby cat", "score": 0.9}, {"label": "sofa", "score": 0.4}],
        "kinds": [{"label": "cat", "score": 0.9}, {"label": "sofa", "score": 0.4}],
    },
}


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, where the catalogue looks for models from a hub."""
    configure(folder=tmp_path / "models")
    yield tmp_path / "models"
    configure()


def placed(models: Path, exported: Export, *wanted: tuple[str, str, str]) -> None:
    """Put these catalogue entries there, by weights and export."""
    for entry, name, what in wanted:
        target = expected(catalogue()[entry], models).parent
        shutil.copytree(exported(name, what)[1].parent, target)


async def findings(
    expert: Expert, prior: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    await expert.open()
    try:
        shown: list[np.ndarray] = [photograph(name) for name in ("cat.jpg", "coffee.jpg")]
        if isinstance(expert, Prepares):
            shown = [expert.prepare(pixels) for pixels in shown]
        return await asyncio.gather(*(expert.find(Sighting({}, pixels, prior)) for pixels in shown))
    finally:
        await expert.close()


async def test_detection(exported: Export, models: Path) -> None:
    placed(models, exported, ("rt-detr-v2-r50", "rt-detr-v2", "rt-detr-v2"))
    expert = FullDetection(Experts(max_batch=2))
    found = await findings(expert)
    assert expert.provider == "cpu" and expert.pixels == 64
    assert expert.model_version == catalogue()["rt-detr-v2-r50"].version
    assert found[0] != found[1]
    for each in found:
        assert validate(each, expert.schema())
        assert 0 < len(each["boxes"]) <= 100
        assert all(0 <= box["x0"] < box["x1"] <= 1 for box in each["boxes"])
        assert expert.describe(each)[0].startswith("thing ")


async def test_tagging_by_the_users_own_words(
    exported: Export, models: Path, tmp_path: Path
) -> None:
    placed(
        models,
        exported,
        ("siglip2-base", "siglip2", "siglip2-image"),
        ("siglip2-base-text", "siglip2", "siglip2-text"),
    )
    words = tmp_path / "words.txt"
    words.write_text("# mine\ncat\n\ncup\ncat\n", "utf-8")
    expert = FullTagging(Experts(max_batch=2, vocabulary=words, tag_score=0))
    for each in await findings(expert):
        assert validate(each, expert.schema())
        assert sorted(tag["label"] for tag in each["tags"]) == ["cat", "cup"]
        assert set(expert.describe(each)[0].split(", ")) == {"cat", "cup"}
    words.write_text("# nothing\n", "utf-8")
    with pytest.raises(EngineError, match="no tag"):
        await expert.open()


async def test_embedding(exported: Export, models: Path) -> None:
    placed(models, exported, ("dinov2-base", "dinov2", "dinov2"))
    expert = FullEmbedding(Experts(max_batch=2))
    one, two = await findings(expert)
    assert validate(one, expert.schema()) and one != two
    assert np.linalg.norm(one["vector"]) == pytest.approx(1, abs=1e-5)
    # A centre crop: what is decoded is as large as the picture before it.
    card = Card.read(expected(catalogue()["dinov2-base"], models))
    assert expert.pixels == card.pictured().short_side > card.pictured().height


async def test_grounding_looks_for_the_tags(exported: Export, models: Path) -> None:
    placed(
        models,
        exported,
        ("owlv2-base", "owlv2", "owlv2-image"),
        ("owlv2-base-text", "owlv2", "owlv2-text"),
    )
    expert = Grounding(Experts(max_batch=2, grounding_score=0.05))
    assert expert.follows == "priors.tagging"
    for each in await findings(expert, TAGGED):
        assert validate(each, expert.schema())
        assert each["queries"] == ["tabby cat", "sofa", "cat"]
        assert each["boxes"] and {box["label"] for box in each["boxes"]} <= set(each["queries"])
        assert len(expert.describe(each)) == len(each["boxes"])
    nothing = TAGGED | {"findings": {"tags": [], "kinds": []}}
    assert await findings(expert, nothing) == [{"queries": [], "boxes": []}] * 2
    with pytest.raises(EngineError, match="out of memory"):
        await findings(expert, {"findings": None, "status": "failed", "reason": "out of memory"})


async def test_a_model_that_is_not_there_says_how_to_get_it(models: Path) -> None:
    for expert in (FullDetection, FullTagging, Grounding, FullEmbedding):
        with pytest.raises(EngineError, match="densefusion engines pull"):
            await expert(Experts()).open()
