"""TensorRT's engines through onnxruntime: what is asked of the provider, and what is opened.

The provider itself cannot run here; `RecordingOpener` stands at the seam to onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import manifest as manifests
from engines.cache import Cache
from engines.catalogue import Range, catalogue, locate
from engines.errors import EngineError
from engines.gpu import Gpu
from engines.trt_provider import CONTEXT, PROVIDER, built_engine, profile

MODEL = catalogue()["efficientnet-lite0"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "gpu", lambda device: Gpu("H100", "sm_90", "12.8"))
    monkeypatch.setattr(manifests, "tensorrt_version", lambda: "10.9.0")


class RecordingOpener:
    """A test double of `engines.session.open_`: writes what TensorRT's provider would write."""

    def __init__(self, *, whole: bool = True) -> None:
        self.opened: list[tuple[str, dict[str, str]]] = []
        self.ran: list[tuple[int, ...]] = []
        self._whole = whole

    def __call__(
        self, source: str, providers: Sequence[tuple[str, Mapping[str, Any]]], threads: int = 1
    ) -> RecordingOpener:
        ((name, options),) = providers
        assert name == PROVIDER
        self.opened.append((source, dict(options)))
        if self._whole:
            path = Path(options["trt_ep_context_file_path"])
            path.write_text("context")
            (path.parent / options["trt_engine_cache_path"] / "a.engine").write_text("engine")
        return self

    def run(self, outputs: None, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.ran += [array.shape for array in feeds.values()]
        return []


def built(tmp_path: Path, opener: RecordingOpener, contract: Any = MODEL):  # type: ignore[no-untyped-def]
    return built_engine(locate(MODEL), contract, "fp16", Cache(tmp_path), 0, opener)


def test_builds_once_with_explicit_profiles_timing_cache_and_context(tmp_path: Path) -> None:
    opener = RecordingOpener()
    engine = built(tmp_path, opener)
    assert engine.path.name == CONTEXT
    assert engine.path.read_text() == "context"
    assert engine.options == {"device_id": "0"}
    ((source, options),) = opener.opened
    assert source == str(locate(MODEL))
    assert options["trt_profile_min_shapes"] == "image:1x224x224x3"
    assert options["trt_profile_opt_shapes"] == "image:16x224x224x3"
    assert options["trt_profile_max_shapes"] == "image:32x224x224x3"
    assert options["trt_timing_cache_enable"] == "1"
    assert options["trt_timing_cache_path"] == str(tmp_path / "timing")
    assert options["trt_dump_ep_context_model"] == "1"
    assert options["trt_ep_context_embed_mode"] == "0"
    # An absolute path is refused by the provider, and would not survive the move into its place.
    assert not Path(options["trt_engine_cache_path"]).is_absolute()
    # Precision lives in the ONNX file.
    assert not any("fp16" in name or "int8" in name for name in options)
    assert opener.ran == [(16, 224, 224, 3)]
    assert built(tmp_path, opener) == engine
    assert len(opener.opened) == 1


def test_other_bounds_are_another_engine(tmp_path: Path) -> None:
    opener = RecordingOpener()
    first = built(tmp_path, opener)
    assert built(tmp_path, opener, MODEL.bounded(n=Range(1, 8, 64))).path != first.path
    assert len(opener.opened) == 2


def test_every_dynamic_input_has_a_profile() -> None:
    assert profile(catalogue()["owlv2-base"])["trt_profile_max_shapes"] == (
        "image:8x960x960x3,queries:8x64x512"
    )


def test_a_model_that_is_not_wholly_tensorrts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not take all of efficientnet-lite0"):
        built(tmp_path, RecordingOpener(whole=False))
    assert list(Cache(tmp_path).entries()) == []


def test_a_failing_build_says_which_model(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(EngineError, match="cannot build efficientnet-lite0: out of memory"):
        built_engine(locate(MODEL), MODEL, "fp32", Cache(tmp_path), 0, fail)
