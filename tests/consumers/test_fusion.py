"""Fusion: a joined record becomes a caption that says what it was made of."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from consumers import prompt
from consumers.fusion import Fusion
from consumers.stage import Record, Rejected
from densefusion.errors import CaptionServerError, StoreError
from engines.captions import Captioned, CaptionTask, Refused, Unavailable
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC, image, prior


class RecordingEngine:
    """A caption engine on our interface: keeps its tasks, and answers or raises as it is told."""

    name = "recorder:1"
    saw_image = True

    def __init__(self, answer: Captioned | Exception, loads: bool = False) -> None:
        self.answer = answer
        self.loads = loads
        self.tasks: list[CaptionTask] = []
        self.loaded = b""
        self.failure: Exception | None = None

    async def open(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None: ...

    async def caption(self, task: CaptionTask) -> Captioned:
        self.tasks.append(task)
        if self.loads:
            self.loaded = await task.load()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class AskingEngine(RecordingEngine):
    """One that reads its prompt."""

    async def caption(self, task: CaptionTask) -> Captioned:
        assert task.prompt
        return await super().caption(task)


CAPTIONED = Captioned("A cat.", 0.25, "length", tokens_in=10, tokens_out=3, price=0.001)


def joined(priors: dict[str, dict[str, Any]], missing: dict[str, str] | None = None) -> Record:
    raw = CODEC.encode("Image", image(), "images")
    made = Record("images", 2, 17, "abcdef", image(), raw)
    together: dict[str, Record] = {}
    made.joined = together
    for name, value in priors.items():
        raw = CODEC.encode(f"Prior:{name}", value, "")
        together[name] = Record(f"priors.{name}", 2, 30, "abcdef", value, raw)
    # As a join has it: who failed is missing, though it answered.
    failed = {
        name: f"failed: {value['reason']}"
        for name, value in priors.items()
        if value["status"] == "failed"
    }
    made.missing = (missing or {}) | failed
    return made


def fusion(engine: RecordingEngine, store: InMemoryStore | None = None) -> Fusion:
    return Fusion(engine, store or InMemoryStore(), CODEC)  # type: ignore[arg-type]


async def caption(engine: RecordingEngine, of: Record) -> dict[str, Any]:
    (emit,) = await fusion(engine).process(of)
    assert (emit.topic, emit.key, emit.schema) == ("captions", "abcdef", "Caption")
    return CODEC.decode("Caption", CODEC.encode("Caption", emit.value, "captions"))


async def test_caption_says_what_it_is() -> None:
    found = await caption(RecordingEngine(CAPTIONED), joined({}))
    assert found["text"] == "A cat." and found["image"] == image()
    assert (found["partition"], found["offset"]) == (2, 17)
    assert (found["engine"], found["saw_image"]) == ("recorder:1", True)
    assert found["prompt_version"] == prompt.VERSION and found["finish"] == "length"
    assert (found["tokens_in"], found["tokens_out"], found["price"]) == (10, 3, 0.001)
    assert found["seconds"] == 0.25 and found["captioned_at"].tzinfo is not None


async def test_priors_are_kept_as_they_came() -> None:
    priors = {"ocr": prior("ocr"), "tagging": prior("tagging", lines=["cat"])}
    found = await caption(RecordingEngine(CAPTIONED), joined(priors))
    for used in found["priors"]:
        name = used["expert"]
        assert CODEC.decode(f"Prior:{name}", used["record"]) == priors[name]
    assert [used["expert"] for used in found["priors"]] == ["ocr", "tagging"]
    assert found["missing"] == []


async def test_engine_is_given_prompt_and_priors() -> None:
    engine = RecordingEngine(CAPTIONED)
    await caption(engine, joined({"tagging": prior("tagging", lines=["tabby"])}))
    (task,) = engine.tasks
    assert "tabby" in task.prompt and task.image == image()
    assert task.priors == {"tagging": prior("tagging", lines=["tabby"])}


async def test_failed_prior_is_kept_but_not_told_to_the_engine() -> None:
    failed = prior("ocr", status="failed", reason="no memory", findings=None, lines=["noise"])
    engine = RecordingEngine(CAPTIONED)
    found = await caption(engine, joined({"ocr": failed}, {"tagging": "silent for 9 s"}))
    assert engine.tasks[0].priors == {} and "noise" not in engine.tasks[0].prompt
    assert {each["expert"]: each["reason"] for each in found["missing"]} == {
        "ocr": "failed: no memory",
        "tagging": "silent for 9 s",
    }
    assert [each["expert"] for each in found["priors"]] == ["ocr"]


async def test_image_without_any_prior_is_captioned() -> None:
    found = await caption(RecordingEngine(CAPTIONED), joined({}, {"ocr": "silent for 9 s"}))
    assert found["text"] == "A cat."


async def test_engine_loads_the_images_bytes() -> None:
    engine = RecordingEngine(CAPTIONED, loads=True)
    store = InMemoryStore()
    store.objects[image()["object_key"]] = b"bytes"
    await fusion(engine, store).process(joined({}))
    assert engine.loaded == b"bytes"


async def test_image_that_is_gone_is_a_reject() -> None:
    engine = RecordingEngine(CAPTIONED, loads=True)
    with pytest.raises(Rejected) as rejected:
        await fusion(engine).process(joined({}))
    assert rejected.value.reason == "image-gone"


async def test_refusal_is_a_reject_with_the_engines_reason() -> None:
    engine = RecordingEngine(Refused("caption-refused", "I cannot."))
    with pytest.raises(Rejected) as rejected:
        await fusion(engine).process(joined({}))
    assert (rejected.value.reason, rejected.value.detail) == ("caption-refused", "I cannot.")


async def test_caption_server_that_is_down_stops_the_worker() -> None:
    with pytest.raises(CaptionServerError, match="down"):
        await fusion(RecordingEngine(Unavailable("down"))).process(joined({}))
    engine = RecordingEngine(CAPTIONED)
    engine.failure = Unavailable("no such model")
    with pytest.raises(CaptionServerError, match="no such model"):
        await fusion(engine).open()


async def test_store_that_is_down_stops_the_worker() -> None:
    store = InMemoryStore()
    store.failure = StoreError("down")
    with pytest.raises(StoreError):
        await fusion(RecordingEngine(CAPTIONED, loads=True), store).process(joined({}))


async def test_prior_that_turns_out_broken_is_missing() -> None:
    broken = joined({"tagging": prior("tagging")})
    priors = dict(broken.joined)
    raw = CODEC.encode("Prior:ocr", prior("ocr"), "")[:-4]
    priors["ocr"] = Record(
        "priors.ocr", 2, 30, "abcdef", None, raw, partial(CODEC.decode, "Prior:ocr")
    )
    broken.joined = priors
    engine = AskingEngine(CAPTIONED)
    found = await caption(engine, broken)
    assert set(engine.tasks[0].priors) == {"tagging"}
    assert [used["expert"] for used in found["priors"]] == ["tagging"]
    assert found["missing"] == [{"expert": "ocr", "reason": "its prior cannot be read"}]


async def test_what_the_engine_does_not_ask_for_is_not_decoded() -> None:
    def read(raw: bytes) -> dict[str, Any]:
        raise AssertionError("decoded")

    passed = joined({})
    raw = CODEC.encode("Prior:ocr", prior("ocr"), "")
    passed.joined = {"ocr": Record("priors.ocr", 2, 30, "abcdef", None, raw, read)}
    found = await caption(RecordingEngine(CAPTIONED), passed)
    assert [used["record"] for used in found["priors"]] == [raw]
