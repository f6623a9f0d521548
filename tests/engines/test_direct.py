"""TensorRT without onnxruntime as a provider: refused by name where it cannot be, or cached."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from engines import manifest as manifests
from engines.cache import Cache, read_manifest
from engines.catalogue import Model, catalogue, locate
from engines.errors import EngineError
from engines.gpu import Gpu
from engines.session import Session
from engines.tagging import WEIGHTS
from engines.tensorrt import Executor, build, direct, library
from engines.tensorrt.direct import Direct, open_direct
from tests.engines.recorded_tensorrt import MODEL, STARTER, RecordedCuda, RecordedTensorRT


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither the package, nor a driver, nor CUDA's runtime."""

    def no_gpu(device: int) -> Gpu:
        raise EngineError("no NVIDIA driver: cannot load libcuda.so.1")

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(library, "gpu", no_gpu)
    monkeypatch.setattr(library, "library", lambda names, load: None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "lacking", lambda device: [])
    monkeypatch.setattr(manifests, "gpu", lambda device: Gpu("H100", "sm_90", "12.8"))
    monkeypatch.setattr(manifests, "tensorrt_version", lambda: "10.9.0")


class Machine:
    """TensorRT's and CUDA's doubles, at the seams of `open_direct`."""

    def __init__(self, *, captures: bool = True) -> None:
        self.trt = RecordedTensorRT()
        self.cudas: list[RecordedCuda] = []
        self.builds = 0
        self._captures = captures

    def compile(self, *arguments: Any, **options: Any) -> bytes:
        self.builds += 1
        return build(*arguments, **options, trt=self.trt)

    def executors(
        self, plan: bytes, contract: Model, buckets: tuple[int, ...], device: int
    ) -> list[Executor]:
        self.cudas = [RecordedCuda(self.trt, captures=self._captures) for _ in range(2)]
        one, two = self.cudas
        first = Executor(plan, contract, buckets, trt=self.trt, cuda=one)  # type: ignore[arg-type]
        return [first, first.twin(two)]  # type: ignore[arg-type]

    def open(self, cache: Cache, contract: Model = MODEL) -> Direct:
        return open_direct(
            locate(STARTER), contract, "fp16", cache, 0,
            compile_=self.compile, execute=self.executors,
        )  # fmt: skip


def rows(*values: int) -> dict[str, np.ndarray]:
    return {"image": np.array([[value, value] for value in values], np.uint8)}


@pytest.mark.usefixtures("bare")
def test_all_that_a_machine_lacks_is_said() -> None:
    with pytest.raises(EngineError) as refused:
        Session(WEIGHTS, provider="tensorrt-direct", contract=STARTER)
    said = str(refused.value)
    assert said.startswith("tensorrt-direct was asked for, and is not to be had: ")
    assert "pip install 'densefusion[gpu]'" in said
    assert "no NVIDIA driver" in said
    assert "libcudart" in said


@pytest.mark.usefixtures("bare")
def test_a_fallback_has_to_be_allowed_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        session = Session(
            WEIGHTS, provider="tensorrt-direct", contract=STARTER, allow_fallback=True
        )
    told = vars(caplog.records[0])
    assert (told["msg"], told["model"]) == ("going on with onnxruntime", str(WEIGHTS))
    assert told["error"]
    assert session.provider != "tensorrt-direct"


@pytest.mark.usefixtures("machine")
def test_it_wants_a_file_its_entry_and_sizes_that_stay(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for model, contract in ((WEIGHTS, None), (b"bytes", STARTER)):
        with pytest.raises(EngineError, match="entry in the catalogue"):
            open_direct(model, contract, "fp32", cache, 0)
    with pytest.raises(EngineError, match=r"pp-ocrv6-rec-small: another size .* on tensorrt"):
        Machine().open(cache, catalogue()["pp-ocrv6-rec-small"])


@pytest.mark.usefixtures("machine")
def test_built_once_under_the_same_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Machine()
    here.open(Cache(tmp_path))
    assert here.trt.profiles == [{"image": ((2, 2),) * 3}, {"image": ((4, 2),) * 3}]
    here.open(Cache(tmp_path, "refuse"))
    assert here.builds == 1
    ((slot, place, fault),) = Cache(tmp_path).entries()
    assert (slot, fault) == ("efficientnet-lite0-tensorrt-direct-fp16", None)
    found, files = read_manifest(place)
    assert sorted(files) == ["metadata.json", "model.plan"]
    assert (found.provider, found.precision, found.options) == (
        "tensorrt-direct", "fp16", "buckets=2/4",
    )  # fmt: skip
    assert (found.onnxruntime, found.tensorrt, found.cuda) == ("none", "10.9.0", "12.8")
    assert found.hardware.startswith("sm_90 ")
    monkeypatch.setattr(manifests, "tensorrt_version", lambda: "11.0.0")
    with pytest.raises(EngineError, match=r"differs in tensorrt: 10\.9\.0 -> 11\.0\.0"):
        here.open(Cache(tmp_path, "refuse"))


@pytest.mark.usefixtures("machine")
def test_other_buckets_are_another_engine(tmp_path: Path) -> None:
    here = Machine()
    here.open(Cache(tmp_path))
    with pytest.raises(EngineError, match=r"differs in shapes: .*; options: buckets=2/4 -> "):
        here.open(Cache(tmp_path, "refuse"), MODEL.serving(4))


@pytest.mark.usefixtures("machine")
def test_batches_of_any_size_run_as_graphs_of_their_bucket(tmp_path: Path) -> None:
    here = Machine()
    engine = here.open(Cache(tmp_path))
    logs = [cuda.log.clear() or cuda.log for cuda in here.cudas]
    for values in ((1, 2, 3, 4), (5,), (6, 7, 8), (9, 9)):
        (found,) = engine.run(rows(*values))
        assert found.tolist() == [2 * value for value in values]
    # Each bucket was captured when it was opened; one batch after the other takes one executor.
    assert sorted(logs) == [[], ["launch"] * 4]


@pytest.mark.usefixtures("machine")
def test_an_answer_is_not_overwritten_by_the_next(tmp_path: Path) -> None:
    engine = Machine().open(Cache(tmp_path))
    (first,) = engine.run(rows(1, 2))
    engine.run(rows(3, 4))
    assert first.tolist() == [2, 4]


@pytest.mark.usefixtures("machine")
def test_two_batches_are_under_way_at_the_same_time_each_in_its_own_buffers(
    tmp_path: Path,
) -> None:
    here = Machine()
    engine = here.open(Cache(tmp_path))
    inside = Barrier(2, timeout=10)
    for cuda in here.cudas:
        cuda.log.clear()
        original = cuda.synchronize
        cuda.synchronize = lambda original=original: (inside.wait(), original())[1]  # type: ignore
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda v: engine.run(rows(v, v))[0].tolist(), [1, 2]))
    assert found == [[2, 2], [4, 4]]
    assert [cuda.log for cuda in here.cudas] == [["launch"], ["launch"]]


@pytest.mark.usefixtures("machine")
def test_what_no_graph_takes_runs_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = Machine(captures=False)
    with caplog.at_level("WARNING"):
        engine = here.open(Cache(tmp_path))
    assert "running without CUDA graphs" in caplog.text
    assert engine.run(rows(1, 2, 3))[0].tolist() == [2, 4, 6]
    assert not any("launch" in cuda.log for cuda in here.cudas)


@pytest.mark.usefixtures("machine")
def test_feeds_that_do_not_fit(tmp_path: Path) -> None:
    engine = Machine().open(Cache(tmp_path))
    wrong: list[tuple[dict[str, np.ndarray], str]] = [
        ({"picture": np.zeros((1, 2), np.uint8)}, "inputs are image, not picture"),
        ({"image": np.zeros((1, 3), np.uint8)}, r"image is uint8\[n, 2\], not uint8\[1, 3\]"),
        ({"image": np.zeros((1, 2), np.float32)}, "not float32"),
        ({"image": np.zeros((0, 2), np.uint8)}, r"batches of \[0\] rows"),
        (rows(1, 2, 3, 4, 5), "no bucket for 5"),
    ]
    for feeds, said in wrong:
        with pytest.raises(EngineError, match=said):
            engine.run(feeds)
    assert engine.run(rows(1))[0].tolist() == [2]


@pytest.mark.usefixtures("machine")
def test_the_session_is_that_provider_with_names_and_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Machine()
    monkeypatch.setattr(
        "engines.session.open_direct",
        partial(open_direct, compile_=here.compile, execute=here.executors),
    )
    session = Session(
        locate(STARTER), provider="tensorrt-direct", contract=MODEL, cache=Cache(tmp_path)
    )
    assert session.provider == "tensorrt-direct"
    assert (session.inputs, session.outputs) == (["image"], ["sum"])
    assert session.placement.counts == {"TensorRT": 3}
    assert session.run(rows(1, 2, 3))[0].tolist() == [2, 4, 6]
    plain = Session(locate(STARTER))
    assert session.metadata == plain.metadata
    with pytest.raises(EngineError, match="no bucket"):
        session.run(rows(*range(9)))


def test_a_text_towers_batch_is_an_axis_of_another_name(tmp_path: Path) -> None:
    text = replace(catalogue()["siglip2-base-text"])
    assert text.buckets == (1, 2, 4, 8, 16, 32, 64)
    trt = RecordedTensorRT()
    build(tmp_path / "m.onnx", text, [4], trt=trt)
    assert trt.profiles == [{"input_ids": ((4, 64),) * 3}]
