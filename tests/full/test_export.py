"""Exported files against PyTorch, at sizes and batches that they were not exported with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines.errors import EngineError
from engines.full.card import Card
from engines.session import Session
from tests.full.conftest import Export, photograph

CASES = [
    ("rt-detr-v2", "rt-detr-v2"),
    ("d-fine", "rt-detr-v2"),
    ("owlv2", "owlv2-image"),
    ("owlv2", "owlv2-text"),
    ("siglip2", "siglip2-image"),
    ("siglip2", "siglip2-text"),
    ("dinov2", "dinov2"),
]
# Both sides compute in float32 and add in another order; relative to an output's mean size. A
# wrong mean, deviation or mask moves outputs by more than 1e-2. Measured: at most 6e-6; D-FINE,
# whose boxes are refined from sharp distributions, of which random weights make cliffs, 4e-4.
TOLERANCE = 5e-5
STEEP = {"d-fine": 4e-3}


def inputs(what: str, card: Card, folder: Path, batch: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(batch)
    feeds: dict[str, np.ndarray] = {}
    if card.picture is not None:
        from engines.full.pictures import prepare

        names = ["cat.jpg", "coffee.jpg", "dogs.jpg", "temple.jpg", "bird.jpg"][:batch]
        feeds["image"] = np.stack([prepare(photograph(name), card.picture) for name in names])
    config = json.loads((folder / "config.json").read_text())
    if what == "owlv2-image":
        width = config["text_config"]["hidden_size"]
        feeds["queries"] = random.standard_normal((batch, 2 * batch - 1, width), np.float32)
    if what.endswith("-text"):
        text = config["text_config"]
        size = (batch, text["max_position_embeddings"])
        feeds["input_ids"] = random.integers(1, text["vocab_size"], size, np.int64)
    return feeds


def reference(what: str, folder: Path) -> Any:
    """The very modules of `transformers`, fed with what their own processors give."""
    import torch
    import transformers

    model = getattr(
        transformers, json.loads((folder / "config.json").read_text())["architectures"][0]
    ).from_pretrained(folder)
    model.eval()
    pictures = json.loads((folder / "preprocessor_config.json").read_text())

    def normal(image: np.ndarray) -> Any:
        values = torch.from_numpy(image).permute(0, 3, 1, 2) * pictures["rescale_factor"]
        if not pictures["do_normalize"]:
            return values
        mean, deviation = (
            torch.tensor(pictures[key]).view(3, 1, 1) for key in ("image_mean", "image_std")
        )
        return (values - mean) / deviation

    def unit(vectors: Any) -> Any:
        return torch.nn.functional.normalize(vectors, dim=-1)

    def run(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            if what in ("rt-detr-v2", "owlv2-image"):
                pixels = normal(feeds["image"])
                if what == "rt-detr-v2":
                    found = model(pixel_values=pixels)
                    boxes, logits = found.pred_boxes, found.logits
                else:
                    grid = model.image_embedder(pixel_values=pixels)[0]
                    patches = grid.flatten(1, 2)
                    queries = torch.from_numpy(feeds["queries"])
                    logits = model.class_predictor(patches, queries)[0]
                    boxes = model.box_predictor(patches, grid)
                corners = transformers.image_transforms.center_to_corners_format(boxes)
                return [corners.numpy(), logits.sigmoid().numpy()]
            if what == "dinov2":
                return [unit(model(pixel_values=normal(feeds["image"])).pooler_output).numpy()]
            if what == "siglip2-image":
                found = model.get_image_features(pixel_values=normal(feeds["image"]))
            else:
                tower = model.owlv2 if what == "owlv2-text" else model
                found = tower.get_text_features(input_ids=torch.from_numpy(feeds["input_ids"]))
            return [unit(getattr(found, "pooler_output", found)).numpy()]

    return run


@pytest.mark.parametrize(("name", "what"), CASES)
def test_it_computes_what_pytorch_does(name: str, what: str, exported: Export) -> None:
    from engines.export.parity import difference

    folder, path = exported(name, what)
    session, card, theirs = Session(path), Card.read(path), reference(what, folder)
    raw = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # As in the catalogue, by which a TensorRT engine's bounds are found.
    assert {port.shape[0] for port in raw.get_inputs()} == {"t" if "text" in what else "n"}
    for batch in (1, 2, 5):
        feeds = inputs(what, card, folder, batch)
        wanted = theirs(feeds)
        for output, mine, his in zip(session.outputs, session.run(feeds), wanted, strict=True):
            assert his.std() > 1e-3, "an output that is a constant proves nothing"
            apart = difference(mine, his)
            print(f"{name} {what} {output} batch {batch}: {apart}")
            assert apart.relative < STEEP.get(name, TOLERANCE), (output, batch, apart)


def test_nothing_is_left_that_tensorrt_gets_wrong(exported: Export) -> None:
    import onnx

    for name in ("rt-detr-v2", "d-fine"):
        graph = onnx.load(exported(name, "rt-detr-v2")[1]).graph
        kinds = {node.op_type for node in graph.node}
        assert not kinds & {"GridSample", "NonMaxSuppression", "NonZero", "Loop", "If"}, kinds
        first = [node.op_type for node in graph.node if "image" in node.input]
        assert first == ["Cast"], first  # TensorRT lets nothing else follow a uint8 input


def test_sampling_is_grid_samples(exported: Export) -> None:
    torch = pytest.importorskip("torch")
    from engines.export.sampling import sample

    torch.manual_seed(3)
    values, grid = torch.randn(3, 4, 5, 7), torch.rand(3, 6, 2, 2) * 3 - 1.5
    grid[0, 0, 0] = torch.tensor([1e9, -1e9])
    wanted = torch.nn.functional.grid_sample(values, grid, align_corners=False)
    assert torch.allclose(sample(values, grid, align_corners=False), wanted, atol=1e-5)
    with pytest.raises(NotImplementedError):
        sample(values, grid, align_corners=True)


def test_a_missing_weight_is_no_random_weight(
    weights: Callable[[str], Path], tmp_path: Path
) -> None:
    source = weights("dinov2")
    from safetensors.numpy import load_file, save_file

    from engines.export import export

    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(source / "model.safetensors")
    del tensors["layernorm.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(EngineError, match=r"layernorm\.weight"):
        export("dinov2", tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_another_model_is_refused(weights: Callable[[str], Path], tmp_path: Path) -> None:
    source = weights("dinov2")
    from engines.export import export

    with pytest.raises(EngineError, match="dinov2, not owlv2"):
        export("owlv2-image", source, tmp_path)
    with pytest.raises(EngineError, match="no export"):
        export("yolo", source, tmp_path)


def test_a_file_that_computes_something_else_is_not_kept(
    weights: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = weights("dinov2")
    from engines.export import export, onnx_file

    write = onnx_file.write

    def write_wrong(module: Any, *rest: Any) -> None:
        factor = module.pixels.factor.clone()
        module.pixels.factor *= 1.1
        write(module, *rest)
        module.pixels.factor.copy_(factor)

    monkeypatch.setattr(onnx_file, "write", write_wrong)
    with pytest.raises(EngineError, match="differs from PyTorch"):
        export("dinov2", source, tmp_path)
    assert not list(tmp_path.glob("*"))
