"""What a process says of its build and of GPUs."""

from __future__ import annotations

import math
import platform
import sys
from types import SimpleNamespace

import confluent_kafka
import pytest
from prometheus_client import REGISTRY, generate_latest

from densefusion import __version__, process_metrics


class ScriptedNvml:
    """NVML's Python bindings, as far as we call them, with two cards; the second has been lost."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetMemoryInfo(self, device: int) -> SimpleNamespace:
        if device:
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(total=80 << 30, free=50 << 30, used=30 << 30)

    def nvmlDeviceGetUtilizationRates(self, device: int) -> SimpleNamespace:
        if device:
            raise self.NVMLError("GPU is lost")
        return SimpleNamespace(gpu=35, memory=12)


def value(name: str, gpu: str) -> float | None:
    return REGISTRY.get_sample_value(f"densefusion_gpu_{name}", {"gpu": gpu})


def test_the_build_is_told() -> None:
    process_metrics.set_up()
    labels = {
        "version": __version__,
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
    }
    assert REGISTRY.get_sample_value("densefusion_build_info", labels) == 1


def test_gpus_are_read_at_each_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml())  # type: ignore[arg-type]
    assert process_metrics.watch_gpus() == 2
    assert value("memory_used_bytes", "0") == 30 << 30
    assert value("memory_total_bytes", "0") == 80 << 30
    assert value("utilization_ratio", "0") == 0.35
    lost = value("memory_used_bytes", "1")
    assert lost is not None and math.isnan(lost)  # the scrape goes on
    assert b'densefusion_gpu_utilization_ratio{gpu="1"} NaN' in generate_latest()


def test_a_machine_without_a_driver_has_none() -> None:
    """On the real bindings, which find no library of the driver here."""
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    if process_metrics.watch_gpus():
        pytest.skip("this machine has a GPU")


def test_a_machine_without_the_bindings_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert process_metrics.watch_gpus() == 0
