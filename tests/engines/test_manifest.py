"""Where a manifest's fields come from: change the thing, and the field changes."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from engines import manifest as manifests
from engines.catalogue import Range, catalogue, locate
from engines.errors import EngineError
from engines.gpu import Gpu
from engines.manifest import Manifest, manifest, sha256, tensorrt_version

MODEL = catalogue()["efficientnet-lite0"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU and a TensorRT that are not here."""
    monkeypatch.setattr(manifests, "gpu", lambda device: Gpu("H100", "sm_90", "12.8"))
    monkeypatch.setattr(manifests, "tensorrt_version", lambda: "10.9.0")


def made(path: Path | None = None, **changes: object) -> Manifest:
    given = {"contract": MODEL, "provider": "tensorrt", "precision": "fp32", **changes}
    return manifest(path or locate(MODEL), **given)  # type: ignore[arg-type]


def test_says_what_the_engine_is() -> None:
    found = made()
    assert found.model == MODEL.sha256
    assert found.shapes == "image:1x224x224x3..16x224x224x3..32x224x224x3"
    assert found.onnxruntime == onnxruntime.__version__
    assert (found.tensorrt, found.cuda) == ("10.9.0", "12.8")
    assert found.hardware.startswith("sm_90 ")


def test_each_field_follows_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = made()
    other = tmp_path / "other.onnx"
    other.write_bytes(locate(MODEL).read_bytes() + b"\0")

    def changed(found: Manifest) -> list[str]:
        return [each.split(":")[0] for each in usual.differences(found)]

    assert changed(made(other)) == ["model"]
    assert changed(made(precision="fp16")) == ["precision"]
    assert changed(made(contract=MODEL.bounded(n=Range(1, 8, 8)))) == ["shapes"]
    assert changed(made(options={"trt_builder_optimization_level": "5"})) == ["options"]
    assert changed(made(provider="cuda")) == ["provider", "tensorrt"]
    monkeypatch.setattr(onnxruntime, "__version__", "1.99.0")
    assert changed(made()) == ["onnxruntime"]
    monkeypatch.undo()
    monkeypatch.setattr(manifests, "gpu", lambda device: Gpu("A100", "sm_80", "12.8"))
    monkeypatch.setattr(manifests, "tensorrt_version", lambda: "11.0.0")
    assert changed(made()) == ["tensorrt", "hardware"]
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    assert changed(made()) == ["tensorrt", "cuda", "hardware"]


def test_errors() -> None:
    with pytest.raises(EngineError, match="no such precision"):
        made(precision="fp8")
    with pytest.raises(EngineError, match="cannot read"):
        sha256(Path("/nowhere/model.onnx"))
    with pytest.raises(EngineError, match="no manifest"):
        Manifest.parse({"model": "ab"})


def test_no_tensorrt_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "_TENSORRT", ("no-such-package",))
    monkeypatch.setattr(manifests, "_TENSORRT_LIBRARIES", ("libno-such.so",))
    with pytest.raises(EngineError, match="pip install tensorrt"):
        tensorrt_version()
