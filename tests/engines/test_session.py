from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from engines.errors import EngineError
from engines.session import Session, _cgroup_quota, usable_cores
from engines.tagging import WEIGHTS

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


def test_usable_cores_is_positive() -> None:
    assert usable_cores() >= 1


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cgroup_v2_quota_is_the_tightest_of_the_path(tmp_path: Path) -> None:
    _write(tmp_path / "self", "0::/pods/one\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
    _write(tmp_path / "fs/pods/one/cpu.max", "max 100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
    _write(tmp_path / "fs/pods/cpu.max", "150000 100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") == 1.5


def test_cgroup_v1_quota_in_a_container(tmp_path: Path) -> None:
    """The path is the host's, and only the controller's root is mounted."""
    _write(tmp_path / "self", "5:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n")
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") == 2.5
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
