"""The stage of an expert: every image gets an answer."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image as Picture
from prometheus_client import REGISTRY

from consumers.expert import Findings, Sighting
from consumers.expert_stage import ExpertStage
from densefusion.errors import StoreError
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC, image, prior, record


class RecordingExpert:
    """An expert on our interface: keeps what it is given, and answers as it is told."""

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Image Tags"
    follows: ClassVar[str] = "images"
    model = "recorder"
    model_version = "7"

    def __init__(self, pixels: int | None = None, follows: str = "images") -> None:
        self.findings: Any = {"tags": [{"label": "cat", "score": 0.5}], "kinds": []}
        self.pixels = pixels
        self.follows = follows  # type: ignore[misc]
        self.seen: list[Sighting] = []
        self.failure: Exception | None = None
        self.describing: Exception | None = None
        self.state = "new"

    @staticmethod
    def schema() -> dict[str, Any]:
        return {}

    async def open(self) -> None:
        self.state = "open"

    async def close(self) -> None:
        self.state = "closed"

    async def find(self, sighting: Sighting) -> Findings:
        self.seen.append(sighting)
        if self.failure is not None:
            raise self.failure
        found: Findings = self.findings
        return found

    def describe(self, findings: Findings) -> Sequence[str]:
        if self.describing is not None:
            raise self.describing
        return [each["label"] for each in findings["tags"]]


KEY = image()["object_key"]


def png(width: int = 40, height: int = 30, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Picture.new(mode, (width, height), 200).save(out, "PNG")
    return out.getvalue()


def store(data: bytes | None = None) -> InMemoryStore:
    made = InMemoryStore()
    if data is not None:
        made.objects[KEY] = data
    return made


async def answer(
    expert: RecordingExpert, held: InMemoryStore, value: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The prior, as a reader of the topic gets it."""
    stage = make_stage(expert, held)
    (emit,) = await stage.process(record(dict(value or image()), "images", 3, 41))
    await stage.close()
    assert (emit.topic, emit.key, emit.schema) == ("priors.tagging", "abcdef", "Prior:tagging")
    assert isinstance(emit.value, bytes)
    return CODEC.decode(emit.schema, emit.value)


def make_stage(expert: RecordingExpert, held: InMemoryStore, **options: Any) -> ExpertStage:
    return ExpertStage(expert, held, CODEC, **options)  # type: ignore[arg-type]


async def test_findings_become_a_prior() -> None:
    found = await answer(RecordingExpert(), store(png()))
    made_at, seconds = found.pop("made_at"), found.pop("seconds")
    assert found == {
        "image_id": "abcdef", "partition": 3, "offset": 41, "object_key": KEY, "expert": "tagging",
        "model": "recorder", "model_version": "7", "status": "ok", "reason": None,
        "title": "Image Tags", "lines": ["cat"],
        "findings": {"tags": [{"label": "cat", "score": 0.5}], "kinds": []},
    }  # fmt: skip
    assert made_at.tzinfo is not None and 0 <= seconds < 5


async def test_expert_sees_the_image_upright_in_rgb() -> None:
    expert = RecordingExpert()
    await answer(expert, store(png(40, 30, "L")))
    (sighting,) = expert.seen
    assert sighting.image == image() and sighting.prior is None
    assert sighting.pixels is not None
    assert sighting.pixels.shape == (30, 40, 3) and sighting.pixels.dtype == np.uint8


async def test_expert_without_pixels_costs_no_read() -> None:
    expert = RecordingExpert(pixels=0)
    held = store()
    held.failure = StoreError("not to be asked")
    assert (await answer(expert, held))["status"] == "ok"
    assert expert.seen[0].pixels is None


async def test_expert_that_follows_another_carries_the_images_place_on() -> None:
    expert = RecordingExpert(follows="priors.ocr")
    followed = prior("ocr", offset=5, partition=3)
    found = await answer(expert, store(png()), followed)
    assert (found["partition"], found["offset"]) == (3, 5)
    assert expert.seen[0].prior == followed


@pytest.mark.parametrize("data", [b"", b"no picture", png()[:60]])
async def test_bytes_that_are_no_picture_are_an_answer(data: bytes) -> None:
    found = await answer(RecordingExpert(), store(data))
    assert found["status"] == "failed" and found["reason"]
    assert found["findings"] is None and found["lines"] == []


async def test_missing_bytes_are_an_answer() -> None:
    found = await answer(RecordingExpert(), store())
    assert found["status"] == "failed" and "not in the object store" in found["reason"]


async def test_failure_of_the_expert_is_an_answer() -> None:
    expert = RecordingExpert()
    expert.failure = ZeroDivisionError("x" * 5000)
    found = await answer(expert, store(png()))
    assert found["status"] == "failed" and found["reason"].startswith("ZeroDivisionError('xxx")
    assert len(found["reason"]) == 500


async def test_failure_to_describe_is_an_answer_too() -> None:
    expert = RecordingExpert()
    expert.describing = KeyError("label")
    found = await answer(expert, store(png()))
    assert found["status"] == "failed" and "KeyError" in found["reason"]
    assert found["findings"] is None


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ({"tags": [{"label": "cat", "score": "high"}], "kinds": []}, "does not fit"),
        ({"tags": [{"label": "cat"}], "kinds": []}, "does not fit"),
        ({"tags": [{"label": "\ud800", "score": 0.5}], "kinds": []}, "does not fit"),
        ({"tags": [{"label": "cat", "score": 0.5}] * 100_000, "kinds": []}, "a message takes"),
        (None, "answered None"),
    ],
    ids=["type", "missing", "surrogate", "too-large", "none"],
)
async def test_findings_that_cannot_be_sent_are_an_answer(findings: Any, said: str) -> None:
    expert = RecordingExpert()
    expert.findings = findings
    found = await answer(expert, store(png()))
    assert found["status"] == "failed" and said in found["reason"]
    assert found["findings"] is None and found["lines"] == []
    assert len(found["reason"]) <= 500


async def test_lines_that_are_no_text_are_an_answer() -> None:
    expert = RecordingExpert()
    expert.findings = {"tags": [{"label": 7, "score": 0.5}], "kinds": []}
    assert (await answer(expert, store(png())))["status"] == "failed"


async def test_reason_that_utf8_cannot_hold() -> None:
    expert = RecordingExpert()
    expert.failure = type("Odd", (Exception,), {"__repr__": lambda self: "Odd(\ud800)"})()
    assert (await answer(expert, store(png())))["status"] == "failed"


@pytest.mark.parametrize("where", ["store", "expert"])
async def test_what_is_down_stops_the_worker(where: str) -> None:
    expert, held = RecordingExpert(), store(png())
    if where == "store":
        held.failure = StoreError("down")
    else:
        expert.failure = StoreError("down")
    with pytest.raises(StoreError):
        await answer(expert, held)


async def test_stage_opens_and_closes_its_expert() -> None:
    expert = RecordingExpert()
    stage = make_stage(expert, store())
    assert stage.name == "tagging"
    await stage.open()
    assert expert.state == "open"
    await stage.close()
    assert expert.state == "closed"


async def test_the_provider_that_really_runs_is_a_metric() -> None:
    expert = RecordingExpert()
    expert.provider = "cuda"  # type: ignore[attr-defined]
    stage = make_stage(expert, store())
    await stage.open()
    await stage.close()
    labels = {
        "expert": "tagging", "model": "recorder",
        "requested": "cpu", "provider": "cuda", "precision": "fp32",
    }  # fmt: skip
    assert REGISTRY.get_sample_value("densefusion_engine_info", labels) == 1
