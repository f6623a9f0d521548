"""What a process says of itself as a whole: its build, and the GPUs that it sees."""

from __future__ import annotations

import platform
from typing import Any

import confluent_kafka

from densefusion import __version__, metrics


def set_up() -> None:
    """Once, at the start of a worker process."""
    metrics.BUILD_INFO.labels(
        __version__, platform.python_version(), confluent_kafka.libversion()[0]
    ).set(1)
    watch_gpus()


def watch_gpus() -> int:
    """Set the gauges of each GPU, read by NVML at each scrape; how many there are.

    None are seen without the package `nvidia-ml-py` (extra `gpu`), or without a driver.
    """
    try:
        import pynvml
    except ImportError:
        return 0
    try:
        pynvml.nvmlInit()
        count = int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
    for number in range(count):
        _watch(pynvml, number)
    return count


def _watch(nvml: Any, number: int) -> None:
    device = nvml.nvmlDeviceGetHandleByIndex(number)

    def memory(what: str) -> float:
        try:
            return float(getattr(nvml.nvmlDeviceGetMemoryInfo(device), what))
        except nvml.NVMLError:  # a card that has gone must not fail the whole scrape
            return float("nan")

    def utilization() -> float:
        try:
            return float(nvml.nvmlDeviceGetUtilizationRates(device).gpu) / 100
        except nvml.NVMLError:
            return float("nan")

    name = str(number)
    metrics.GPU_MEMORY_USED.labels(name).set_function(lambda: memory("used"))
    metrics.GPU_MEMORY_TOTAL.labels(name).set_function(lambda: memory("total"))
    metrics.GPU_UTILIZATION.labels(name).set_function(utilization)
