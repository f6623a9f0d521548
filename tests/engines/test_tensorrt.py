"""TensorRT used directly: the calls it gets, in their order, for 10 and for 11."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.catalogue import catalogue
from engines.errors import EngineError
from engines.tensorrt import Executor, build
from engines.tensorrt.library import tensorrt
from tests.engines.recorded_tensorrt import MODEL, RecordedTensorRT


@pytest.mark.parametrize("version", ["10.0.1", "11.4.1"])
def test_builds_a_strongly_typed_network_with_a_profile_for_each_bucket(
    version: str, tmp_path: Path
) -> None:
    trt, timing = RecordedTensorRT(version), tmp_path / "gpu.timing"
    assert build(tmp_path / "m.onnx", MODEL, [1, 4], timing=timing, trt=trt) == b"plan"
    assert trt.flags == 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert trt.profiles == [{"image": ((1, 2),) * 3}, {"image": ((4, 2),) * 3}]
    assert timing.read_bytes() == b"timings of "
    build(tmp_path / "m.onnx", MODEL, [1], timing=timing, trt=trt)
    assert trt.timings == b"timings of "


def test_what_cannot_be_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot parse .*no such op: Swirl"):
        build(tmp_path / "m.onnx", MODEL, [1], trt=RecordedTensorRT(parses=False))
    with pytest.raises(EngineError, match="cannot build"):
        build(tmp_path / "m.onnx", MODEL, [1], trt=RecordedTensorRT(builds=False))
    with pytest.raises(EngineError, match="no batch sizes"):
        build(tmp_path / "m.onnx", MODEL, [], trt=RecordedTensorRT())
    with pytest.raises(EngineError, match="buckets want one size"):
        build(tmp_path / "m.onnx", catalogue()["pp-ocrv6-rec-small"], [1], trt=RecordedTensorRT())


def executor(trt: RecordedTensorRT) -> Executor:
    plan = build(Path("m.onnx"), MODEL, [2, 4], trt=trt)
    return Executor(plan, MODEL, [2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]


def test_takes_the_smallest_bucket_that_holds_the_batch() -> None:
    trt = RecordedTensorRT()
    with executor(trt) as engine:
        for rows, bucket in ((1, 2), (2, 2), (3, 4)):
            image = engine.prepare(rows)["image"]
            assert image.shape == (bucket, 2)
            image[:] = rows
            assert engine.execute()["sum"].tolist() == [2 * rows] * bucket
        with pytest.raises(EngineError, match="no bucket for 5"):
            engine.prepare(5)
    assert trt.cuda.closed
    assert "launch" not in trt.cuda.log


def test_a_captured_bucket_is_launched_as_one_graph() -> None:
    trt = RecordedTensorRT()
    with executor(trt) as engine:
        image = engine.prepare(4)["image"]
        engine.capture()
        engine.capture()
        trt.cuda.log.clear()
        for value in (3, 5):
            image[:] = value
            assert engine.execute()["sum"].tolist() == [2 * value] * 4
        assert trt.cuda.log == ["launch", "launch"]
        engine.prepare(1)["image"][:] = 1  # another bucket has no graph yet
        assert engine.execute()["sum"].tolist() == [2, 2]
        assert trt.cuda.log[2:] == ["upload", "run", "download"]
    assert trt.cuda.closed


def test_nothing_runs_unprepared() -> None:
    engine = executor(RecordedTensorRT())
    for call in (engine.execute, engine.capture):
        with pytest.raises(EngineError, match="prepare a bucket first"):
            call()


def test_a_plan_of_another_gpu_or_of_other_buckets_is_refused() -> None:
    trt = RecordedTensorRT()
    with pytest.raises(EngineError, match="2 profiles for 3 buckets"):
        Executor(b"plan", MODEL, [1, 2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]
    trt.takes_plan = False
    with pytest.raises(EngineError, match="another version, or for another GPU"):
        Executor(b"plan", MODEL, [2, 4], trt=trt, cuda=trt.cuda)  # type: ignore[arg-type]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"pip install 'densefusion\[gpu\]'"):
        build(Path("m.onnx"), MODEL, [1])


@pytest.mark.parametrize("version", ["8.6.1", "12.0.0"])
def test_other_versions_are_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=version))
    with pytest.raises(EngineError, match="is not 10 or 11"):
        tensorrt()
