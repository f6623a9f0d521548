"""A device that computes nothing: the starter experts with their models' place taken by a sleep.

So a model's throughput is known exactly and costs no core, as on a GPU, and whatever is missing of
it is the worker's doing. Outputs and answers are real ones of the real models, given again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from consumers.expert import Expert
from consumers.experts.batching import make_batcher
from consumers.experts.detection import Detection
from consumers.experts.ocr import Ocr
from consumers.experts.tagging import Tagging
from densefusion.settings import Experts
from engines import detection, tagging
from engines.ocr import Line
from engines.session import Session

NAME = "sleeping"  # as a provider


class SleepingDevice:
    """One batch at a time, `seconds` for each, however full; the GIL is free meanwhile.

    Attributes:
        batches: how many it has run.
        busy: seconds in which it ran, between its first and its last.
        began, ended: the first, the last (`time.perf_counter`).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._one = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.batches, self.busy, self.began, self.ended = 0, 0.0, 0.0, 0.0

    def wait(self) -> None:
        """Until a batch is done."""
        with self._one:
            began = time.perf_counter()
            time.sleep(self._seconds)
            self.ended = time.perf_counter()
            self.began = self.began or began
            self.busy += self.ended - began
            self.batches += 1


class SleepingSession:
    """A session on a `SleepingDevice`: gives the outputs for one picture, for each of a batch."""

    provider = NAME

    def __init__(
        self, device: SleepingDevice, feeds: Mapping[str, np.ndarray], outputs: Sequence[np.ndarray]
    ) -> None:
        self._device = device
        self._name, views = next(iter(feeds.items()))
        self._views = len(views)
        self._outputs = outputs

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        pictures = len(feeds[self._name]) // self._views
        self._device.wait()
        return [np.tile(each, (pictures, *[1] * (each.ndim - 1))) for each in self._outputs]


class SleepingDetection(Detection):
    def __init__(self, settings: Experts, device: SleepingDevice, picture: np.ndarray) -> None:
        super().__init__(settings)
        self._device, self._picture = device, picture

    def _load(self) -> detection.Detector:
        self.provider = NAME
        image = self.prepare(self._picture)
        feeds = {"image": np.stack([image, image[:, ::-1]])}
        outputs = Session(detection.WEIGHTS).run(feeds)
        session = SleepingSession(self._device, feeds, outputs)
        return detection.Detector(session, detection.load_labels())  # type: ignore[arg-type]


class SleepingTagging(Tagging):
    def __init__(self, settings: Experts, device: SleepingDevice, picture: np.ndarray) -> None:
        super().__init__(settings)
        self._device, self._picture = device, picture

    def _load(self) -> tagging.Tagger:
        self.provider = NAME
        feeds = {"image": self.prepare(self._picture)}
        session = SleepingSession(self._device, feeds, Session(tagging.WEIGHTS).run(feeds))
        return tagging.Tagger(session, tagging.load_labels())  # type: ignore[arg-type]


class SleepingOcr(Ocr):
    """The device stands for the whole reader: its cutting and sorting on the CPU is left out."""

    def __init__(self, settings: Experts, device: SleepingDevice, picture: np.ndarray) -> None:
        super().__init__(settings)
        self._device = device

    async def open(self) -> None:
        corners = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
        answer = [Line("a line of text", 0.99, corners)] * 3

        def read(images: Sequence[np.ndarray]) -> list[list[Line]]:
            self._device.wait()
            return [answer] * len(images)

        self.provider = NAME
        self._batcher = make_batcher(read, self._settings, self.provider, self.name, cpu_batch=1)


def sleeping(name: str, settings: Experts, device: SleepingDevice, picture: np.ndarray) -> Expert:
    """The expert of that name on `device`.

    Args:
        settings: a GPU's, so that batches are made as for one.
        picture: whose answer every picture gets: H x W x 3, uint8, RGB.
    """
    classes = {"detection": SleepingDetection, "tagging": SleepingTagging, "ocr": SleepingOcr}
    return classes[name](settings, device, picture)  # type: ignore[no-any-return,abstract]
