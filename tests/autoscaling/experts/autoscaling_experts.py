"""An expert that waits for a device, one image after the other, and computes nothing: eight of its
workers fit on two cores, as eight workers with a GPU each would beside one another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from consumers.expert import Findings, Sighting
from densefusion.settings import Experts


class Device:
    """Takes `AUTOSCALING_DEVICE_SECONDS` for an image."""

    name: ClassVar[str] = "device"
    title: ClassVar[str] = "Device"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = 0
    model = "sleep"
    model_version = "1"

    def __init__(self, settings: Experts) -> None:
        self._seconds = float(os.environ["AUTOSCALING_DEVICE_SECONDS"])
        self._one = asyncio.Lock()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    @staticmethod
    def schema() -> dict[str, Any]:
        return {
            "type": "record", "name": "Device", "namespace": "autoscaling",
            "fields": [{"name": "width", "type": "int"}],
        }  # fmt: skip

    async def find(self, sighting: Sighting) -> Findings:
        async with self._one:
            await asyncio.sleep(self._seconds)
        return {"width": sighting.image["width"]}

    def describe(self, findings: Mapping[str, Any]) -> Sequence[str]:
        return [f"{findings['width']} pixels wide"]
