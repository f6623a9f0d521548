"""Models at another precision, on the starters' real weights and the project's photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.detection import WEIGHTS as DETECTOR
from engines.errors import EngineError
from engines.images import decode
from engines.ocr import models
from engines.optimise import Calibration, agreement, check, optimise
from engines.session import Session
from engines.tagging import WEIGHTS as TAGGER
from engines.tagging import Tagger

onnx = pytest.importorskip("onnx", reason="optimising needs the package onnx")

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("cat", "coffee", "astronaut", "dogs", "flower", "sign_exit")


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    return [decode((EXAMPLES / f"{name}.jpg").read_bytes(), min_side=300) for name in NAMES]


@pytest.fixture(scope="module")
def tagger() -> Session:
    return Session(TAGGER)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return optimise(TAGGER, "fp16", tmp_path_factory.mktemp("half") / "tagger.onnx")


@pytest.fixture(scope="module")
def eighth(tmp_path_factory: pytest.TempPathFactory, photographs: list[np.ndarray]) -> Path:
    feeds = [Tagger.prepare(each) for each in photographs]
    target = tmp_path_factory.mktemp("eighth") / "tagger.onnx"
    return optimise(TAGGER, "int8", target, calibration=Calibration(feeds))


def types_of(path: Path) -> dict[str, int]:
    count: dict[str, int] = {}
    for node in onnx.load(path).graph.node:
        count[node.op_type] = count.get(node.op_type, 0) + 1
    return count


def test_half_computes_in_half_and_keeps_what_it_is_asked_to(half: Path, tmp_path: Path) -> None:
    weights = {each.name: each.data_type for each in onnx.load(half).graph.initializer}
    convolutions = [node for node in onnx.load(half).graph.node if node.op_type == "Conv"]
    assert {weights[node.input[1]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
    kept = onnx.load(optimise(TAGGER, "fp16", tmp_path / "kept.onnx", keep=["Gemm"]))
    weights = {each.name: each.data_type for each in kept.graph.initializer}
    (last,) = (node for node in kept.graph.node if node.op_type == "Gemm")
    assert weights[last.input[1]] == onnx.TensorProto.FLOAT


def test_inputs_outputs_and_metadata_stay(half: Path, eighth: Path, tmp_path: Path) -> None:
    for path in (half, eighth):
        session = Session(path)
        assert (session.inputs, session.outputs) == (["image"], ["logits", "embedding"])
        (logits, _) = session.run({"image": np.zeros((3, 224, 224, 3), np.uint8)})
        assert logits.shape == (3, 1000) and logits.dtype == np.float32
    recogniser = models.find(models.RECOGNISER)
    folded = Session(optimise(recogniser, "fp32", tmp_path / "folded.onnx"))
    assert folded.metadata["character"] == Session(recogniser).metadata["character"]


def test_the_nodes_that_are_kept_lie_in_order(tmp_path: Path) -> None:
    """The box decoder's Exp is kept, behind a cast that the converter puts last."""
    graph = onnx.load(optimise(DETECTOR, "fp16", tmp_path / "detector.onnx")).graph
    known = {each.name for each in graph.initializer} | {"image", ""}
    for node in graph.node:
        assert known.issuperset(node.input), node.name
        known.update(node.output)


def test_half_agrees(half: Path, tagger: Session, photographs: list[np.ndarray]) -> None:
    candidate = Session(half)
    for task in ("tagging", "embedding"):
        found = agreement(task, tagger, candidate, photographs)
        check("tagger", found)
        assert found.value > 0.99


def test_int8_has_pairs_around_integers_and_weights_per_channel(eighth: Path) -> None:
    graph = onnx.load(eighth).graph
    weights = {each.name: each for each in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 49
    for node in convolutions:
        image, kernel = (makers[name] for name in node.input[:2])
        assert (image.op_type, kernel.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert weights[kernel.input[0]].data_type == onnx.TensorProto.INT8
        assert list(weights[kernel.input[1]].dims) == [weights[kernel.input[0]].dims[0]]


def test_symmetric_zero_points_are_nought(tmp_path: Path, photographs: list[np.ndarray]) -> None:
    feeds = [{"image": Tagger.prepare(photographs[0])}]
    target = tmp_path / "symmetric.onnx"
    optimise(TAGGER, "int8", target, calibration=Calibration(feeds), symmetric=True)
    graph = onnx.load(target).graph
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    zeros = [values[n.input[2]] for n in graph.node if n.op_type == "QuantizeLinear"]
    assert zeros and all((zero == 0).all() and zero.dtype == np.int8 for zero in zeros)


def test_a_model_that_says_other_things_is_refused_with_the_figure(
    tmp_path: Path, tagger: Session, photographs: list[np.ndarray]
) -> None:
    model = onnx.load(optimise(TAGGER, "fp32", tmp_path / "folded.onnx"))
    (last,) = (node for node in model.graph.node if node.op_type == "Gemm")
    (kernel,) = (each for each in model.graph.initializer if each.name == last.input[1])
    shuffled = np.roll(onnx.numpy_helper.to_array(kernel), 7, axis=0)
    kernel.CopyFrom(onnx.numpy_helper.from_array(shuffled, kernel.name))
    onnx.save(model, tmp_path / "broken.onnx")
    found = agreement("tagging", tagger, Session(tmp_path / "broken.onnx"), photographs)
    assert found.value < 0.5
    with pytest.raises(EngineError, match=rf"refused.*{found.value:.4f}"):
        check("the tagger", found)


def test_the_same_model_agrees_in_every_task(photographs: list[np.ndarray]) -> None:
    sign = [photographs[-1]]
    for task, path in (
        ("detection", DETECTOR),
        ("ocr-detection", models.find(models.DETECTOR)),
        ("ocr-recognition", models.find(models.RECOGNISER)),
        ("ocr-orientation", models.find(models.CLASSIFIER)),
    ):
        session = Session(path)
        shown = photographs[:3] if task == "detection" else sign
        assert agreement(task, session, session, shown).value == pytest.approx(1)


def test_outputs_are_compared_bare_where_told_how_to_prepare(
    half: Path, tagger: Session, photographs: list[np.ndarray]
) -> None:
    def prepare(image: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": cv2.resize(image, (224, 224))[None]}

    found = agreement("embedding", tagger, Session(half), photographs[:2], prepare=prepare)
    assert found.ok and found.value < 1
    with pytest.raises(EngineError, match="prepare"):
        agreement("open-detection", tagger, tagger, photographs)


def test_what_cannot_be_optimised_is_refused(tmp_path: Path, photographs: list[np.ndarray]) -> None:
    target = tmp_path / "target.onnx"
    with pytest.raises(EngineError, match="pictures"):
        optimise(TAGGER, "int8", target)
    with pytest.raises(EngineError, match="Softmux"):
        optimise(TAGGER, "fp16", target, keep=["Softmux"])
    (tmp_path / "torn.onnx").write_bytes(TAGGER.read_bytes()[:5000])
    with pytest.raises(EngineError, match=r"torn\.onnx"):
        optimise(tmp_path / "torn.onnx", "fp16", target)
    with pytest.raises(EngineError, match="photographs"):
        agreement("tagging", Session(TAGGER), Session(TAGGER), [])
    assert [path.name for path in tmp_path.iterdir()] == ["torn.onnx"]
