from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines import onnx_session as sessions
from engines.binding import Binding, Pin
from engines.cache import Cache
from engines.catalogue import catalogue
from engines.errors import EngineError
from engines.placement import CPU, sort_out
from engines.session import Session
from engines.tagging import WEIGHTS

OnnxRuntime = onnxruntime.InferenceSession
without_gpu = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)


def test_runs_and_says_what_it_is() -> None:
    session = Session(WEIGHTS)
    assert (session.inputs, session.outputs) == (["image"], ["logits", "embedding"])
    assert session.provider == "cpu"
    logits, embedding = session.run({"image": np.zeros((3, 224, 224, 3), np.uint8)})
    assert logits.shape == (3, 1000)
    assert embedding.shape == (3, 1280)


def test_loads_bytes_and_serves_many_threads() -> None:
    session = Session(WEIGHTS.read_bytes())
    images = np.random.default_rng(0).integers(0, 255, (4, 224, 224, 3), np.uint8)
    together = session.run({"image": images})[0]
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda image: session.run({"image": image[None]})[0][0], images))
    np.testing.assert_allclose(np.stack(alone), together, rtol=1e-3, atol=1e-3)


@without_gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_missing_is_an_error_unless_allowed(provider: str) -> None:
    with pytest.raises(EngineError, match=r"lacks .*CUDAExecutionProvider"):
        Session(WEIGHTS, provider=provider)  # type: ignore[arg-type]
    fallen_back = Session(WEIGHTS, provider=provider, allow_fallback=True)  # type: ignore[arg-type]
    assert fallen_back.provider == "cpu"


def test_a_provider_that_does_not_come_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU build without a driver: listed, and left out of the session without an exception."""
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(EngineError, match="what came up"):
        Session(WEIGHTS, provider="cuda")


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot load"):
        Session(b"no model")
    with pytest.raises(EngineError, match=r"gone\.onnx"):
        Session(tmp_path / "gone.onnx")
    with pytest.raises(EngineError, match="no such provider"):
        Session(WEIGHTS, provider="abacus")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="inference failed"):
        Session(WEIGHTS).run({"image": np.zeros((1, 8, 8, 3), np.float32)})


class CudaThatTakesNothing(onnxruntime.InferenceSession):  # type: ignore[misc]
    """A test double of onnxruntime's session with a GPU's provider that came up, and took no node.

    All else is the real session on the CPU, its report of the nodes included.
    """

    def __init__(self, source: object, sess_options: object, providers: object) -> None:
        super().__init__(source, sess_options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def cuda_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", CudaThatTakesNothing)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    )


@pytest.mark.usefixtures("cuda_that_takes_nothing")
def test_nodes_that_fall_back_to_the_cpu_inside_a_gpu_session_are_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(EngineError, match=r"cuda does not take these nodes.*\d+ Conv"):
        Session(WEIGHTS, provider="cuda")
    with caplog.at_level("WARNING"):
        allowed = Session(WEIGHTS, provider="cuda", allow_fallback=True)
    told = vars(caplog.records[0])
    assert told["msg"] == "nodes on the CPU inside a session of a GPU"
    assert (told["provider"], told["nodes"]) == ("cuda", allowed.placement.strays)
    assert allowed.placement.strays


@pytest.mark.usefixtures("cuda_that_takes_nothing")
def test_on_a_gpu_batches_are_padded_to_buckets_and_buffers_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """cuDNN tunes itself for each shape that it has not met."""
    made: list[Mapping[str, tuple[int, ...]]] = []

    class Watched(Binding):
        def __init__(self, session: object, shapes: Mapping[str, tuple[int, ...]], _: Pin) -> None:
            made.append(shapes)
            super().__init__(session, shapes)

    monkeypatch.setattr(sessions, "Binding", Watched)
    contract = catalogue()["efficientnet-lite0"]
    gpu = Session(WEIGHTS, provider="cuda", allow_fallback=True, contract=contract)
    plain = OnnxRuntime(str(WEIGHTS), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    before = None
    for rows in (4, 3, 5, 1):
        images = random.integers(0, 255, (rows, 224, 224, 3), np.uint8)
        found = gpu.run({"image": images})
        for mine, theirs in zip(found, plain.run(None, {"image": images}), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)
        if before is not None:  # an answer is the caller's: no later batch writes into it
            np.testing.assert_array_equal(*before)
        before = found[0], found[0].copy()
    assert [shapes["image"][0] for shapes in made] == [4, 8, 2]
    # What is not of the contract goes as it is, and onnxruntime says what is wrong with it.
    with pytest.raises(EngineError, match="inference failed on cuda"):
        gpu.run({"image": np.zeros((1, 8, 8, 3), np.uint8)})
    assert len(made) == 3


@pytest.mark.usefixtures("cuda_that_takes_nothing")
def test_tensorrt_wants_the_models_contract() -> None:
    with pytest.raises(EngineError, match="entry in the catalogue"):
        Session(WEIGHTS, provider="tensorrt")


@pytest.mark.usefixtures("cuda_that_takes_nothing")
def test_an_engine_that_cannot_be_built_is_an_error_unless_a_fallback_is_allowed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Here there is no driver to ask for the GPU."""
    contract, cache = catalogue()["efficientnet-lite0"], Cache(tmp_path)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        Session(WEIGHTS, provider="tensorrt", contract=contract, cache=cache)
    with caplog.at_level("WARNING"):
        session = Session(
            WEIGHTS, provider="tensorrt", contract=contract, cache=cache, allow_fallback=True
        )
    assert "going on without TensorRT" in caplog.text
    assert session.provider == "cuda"


def test_says_where_its_nodes_run() -> None:
    found = Session(WEIGHTS).placement
    assert list(found.counts) == ["CPUExecutionProvider"]
    assert found.strays["Conv"] > 10


def test_arithmetic_on_shapes_is_no_fallback() -> None:
    nodes = [("CUDAExecutionProvider", "Conv"), (CPU, "Shape"), (CPU, "Gather"), (CPU, "Concat")]
    assert sort_out(nodes).strays == {}
    assert sort_out([*nodes, (CPU, "Resize")]).strays == {"Resize": 1}
    assert sort_out(nodes).counts == {"CUDAExecutionProvider": 1, CPU: 3}


def test_threads_are_the_cores_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Watched(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, source: object, sess_options: Any, providers: object) -> None:
            given.append(sess_options.intra_op_num_threads)
            super().__init__(source, sess_options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    monkeypatch.setattr(sessions, "usable_cores", lambda: 3)
    Session(WEIGHTS, threads=0)
    Session(WEIGHTS, threads=2)
    assert given == [3, 2]
