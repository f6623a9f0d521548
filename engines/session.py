"""One ONNX model on the execution provider that was asked for, and on no other in silence."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from engines.errors import EngineError

Provider = Literal["cpu", "cuda", "tensorrt"]

# In order of preference: what TensorRT cannot take runs on CUDA, and what CUDA cannot on the CPU.
# That is onnxruntime's placement of single nodes, not the fallback of a whole model.
_CHAINS: Mapping[Provider, Sequence[str]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}
_NAMES: Mapping[str, Provider] = {chain[0]: name for name, chain in _CHAINS.items()}
_CGROUPS = Path("/sys/fs/cgroup")


class Session:
    """A loaded model. `run` may be called from many threads at once and releases the GIL.

    Args:
        model: path of an ONNX file, or its bytes.
        provider: where it shall run; `tensorrt` leaves to CUDA what TensorRT cannot take.
        threads: intra-op threads of one `run`. One is best where several `run`s share the cores.
        allow_fallback: take the next provider of the chain where the one asked for is missing.
        engine_cache: folder that keeps what TensorRT builds, which takes it minutes; None: the
            user's cache folder.

    Attributes:
        provider: the provider that really runs.
        inputs, outputs: names, in the model's order.
        metadata: the model's custom metadata.

    Raises:
        EngineError: the provider cannot be had, or the model cannot be loaded.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        provider: Provider = "cpu",
        threads: int = 1,
        allow_fallback: bool = False,
        engine_cache: Path | None = None,
    ) -> None:
        chain = _available(provider, allow_fallback)
        source = str(model) if isinstance(model, Path) else model
        try:
            self._session = ort.InferenceSession(
                source,
                sess_options=_options(threads),
                providers=[_with_options(name, engine_cache) for name in chain],
            )
        except Exception as error:  # onnxruntime raises a dozen types with no common root
            what = model if isinstance(model, Path) else "model"
            raise EngineError(f"cannot load {what} for {provider}: {error}") from error
        # Without this a failing run rebuilds the session on the CPU and says nothing.
        self._session.disable_fallback()
        active: str = self._session.get_providers()[0]
        self.provider: Provider = _NAMES[active]
        if self.provider != provider and not allow_fallback:
            raise EngineError(
                f"{provider} was asked for, but {active} is what came up: {_CHAINS[provider][0]} "
                "failed to initialise (its driver or one of its libraries is missing)"
            )
        self.inputs: list[str] = [each.name for each in self._session.get_inputs()]
        self.outputs: list[str] = [each.name for each in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs, in the order of `outputs`.

        Raises:
            EngineError: the feeds do not fit the model, or the provider failed.
        """
        try:
            found: list[np.ndarray] = self._session.run(None, dict(feeds))
        except Exception as error:
            raise EngineError(f"inference failed on {self.provider}: {error}") from error
        return found


def _available(provider: Provider, allow_fallback: bool) -> list[str]:
    """The providers to ask onnxruntime for, checked against what this build of it has."""
    if provider not in _CHAINS:
        raise EngineError(f"no such provider: {provider!r}; there are {', '.join(_CHAINS)}")
    chain = _CHAINS[provider]
    built_in = ort.get_available_providers()
    missing = [name for name in chain if name not in built_in]
    if missing and not allow_fallback:
        raise EngineError(
            f"{provider} was asked for, but this onnxruntime {ort.__version__} lacks "
            f"{', '.join(missing)}; it has {', '.join(built_in)}. The package onnxruntime-gpu, in "
            "place of onnxruntime, brings the GPU's"
        )
    if provider != "cpu" and "CUDAExecutionProvider" in built_in:
        ort.preload_dlls()  # CUDA and cuDNN where they were installed as Python packages
    return [name for name in chain if name in built_in]


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Several processes share the cores: a thread with nothing to do must not burn one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _with_options(name: str, engine_cache: Path | None) -> str | tuple[str, dict[str, Any]]:
    if name != "TensorrtExecutionProvider":
        return name
    folder = engine_cache or _user_cache() / "tensorrt"
    folder.mkdir(parents=True, exist_ok=True)
    return name, {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
    }


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "densefusion"


def usable_cores() -> int:
    """Cores this process may use: its CPU affinity, and the CPU quota of its cgroup, rounded up."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS, Windows
        cores = os.cpu_count() or 1
    quota = _cgroup_quota(Path("/proc/self/cgroup"), _CGROUPS)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _cgroup_quota(membership: Path, root: Path) -> float | None:
    """The tightest CPU quota, in cores, over the process's cgroup and its parents.

    Source: cgroup-v2 ``cpu.max`` ("<quota or max> <period>"), cgroup-v1 ``cpu.cfs_quota_us``
    (-1: none).
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            base = root / controllers
        else:
            continue
        folder = base / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted: the root still is.
        for each in [folder, *folder.parents]:
            if each != base and base not in each.parents:
                break
            quotas.append(_folder_quota(each))
    return min((quota for quota in quotas if quota is not None), default=None)


def _folder_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None
