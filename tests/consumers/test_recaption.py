"""A late prior makes a new version of its image's caption."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from consumers.fusion import Fusion
from consumers.incomplete import Incomplete
from consumers.join_part import LatePrior
from consumers.stage import Emit, Record, Rejected
from densefusion import metrics
from engines.captions import Captioned, CaptionTask, Refused
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC, image, prior

PLACE = {"partition": 2, "offset": 17}
SILENT = "silent for 9 s"


class TagCounter:
    """Says which experts it was told of; waits for `gate`, or raises, if it is told to."""

    name = "counter"
    saw_image = False

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None
        self.refusal: Refused | None = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def caption(self, task: CaptionTask) -> Captioned:
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        return Captioned(" ".join(sorted(task.priors)) or "nothing", 0.0)


class World:
    """Fusion with `late: recaption`, on a store in memory."""

    def __init__(self) -> None:
        self.engine = TagCounter()
        self.store = InMemoryStore()
        incomplete = Incomplete(self.store, CODEC, "captions")  # type: ignore[arg-type]
        self.fusion = Fusion(self.engine, self.store, CODEC, incomplete)  # type: ignore[arg-type]

    async def image(self, *experts: str, **missing: str) -> dict[str, Any]:
        (emit,) = await self.fusion.process(joined(*experts, **missing))
        assert emit.ends
        return decoded(emit)

    async def late(self, expert: str, **changes: Any) -> Sequence[Emit]:
        return await self.fusion.process(late(expert, **changes))

    async def again(self, expert: str, **changes: Any) -> dict[str, Any]:
        (emit,) = await self.late(expert, **changes)
        assert not emit.ends and emit.key == "abcdef" and emit.topic == "captions"
        return decoded(emit)


def joined(*experts: str, **missing: str) -> Record:
    raw = CODEC.encode("Image", image(), "images")
    made = Record("images", 2, 17, "abcdef", image(), raw)
    made.joined = {expert: on_time(expert) for expert in experts}
    made.missing = missing
    return made


def on_time(expert: str, **changes: Any) -> Record:
    raw = CODEC.encode(f"Prior:{expert}", prior(expert, **(PLACE | changes)), "")
    read = partial(CODEC.decode, f"Prior:{expert}")
    return Record(f"priors.{expert}", 2, 30, "abcdef", None, raw, read)


def late(expert: str, **changes: Any) -> LatePrior:
    return LatePrior(expert, on_time(expert, **changes))


def decoded(emit: Emit) -> dict[str, Any]:
    assert not isinstance(emit.value, bytes)
    return CODEC.decode("Caption", CODEC.encode("Caption", emit.value, "captions"))


def dropped() -> float:
    return float(metrics.LATE_PRIORS.labels("fusion")._value.get())


async def test_complete_caption_is_not_kept() -> None:
    world = World()
    found = await world.image("ocr", "tagging")
    assert found["version"] == 0 and world.store.objects == {}


async def test_failed_expert_alone_makes_no_caption_incomplete() -> None:
    world = World()
    await world.image("ocr", ocr="failed: no memory")
    assert world.store.objects == {}


async def test_late_prior_makes_the_next_version() -> None:
    world = World()
    first = await world.image("ocr", tagging=SILENT, detection=SILENT)
    assert (first["text"], first["version"]) == ("ocr", 0)
    one = await world.again("tagging")
    assert (one["text"], one["version"]) == ("ocr tagging", 1)
    assert one["missing"] == [{"expert": "detection", "reason": SILENT}]
    two = await world.again("detection")
    assert (two["text"], two["version"]) == ("detection ocr tagging", 2)
    assert two["missing"] == []
    assert [used["expert"] for used in two["priors"]] == ["ocr", "tagging", "detection"]
    for field in ("image_id", "partition", "offset", "image"):
        assert first[field] == one[field] == two[field]


async def test_priors_read_again_after_a_crash_make_the_same_versions_again() -> None:
    world = World()
    await world.image("ocr", tagging=SILENT, detection=SILENT)
    one, two = await world.again("tagging"), await world.again("detection")
    for expert, before in (("tagging", one), ("detection", two)):
        after = await world.again(expert)
        assert after | {"captioned_at": None} == before | {"captioned_at": None}


async def test_another_answer_of_an_expert_that_has_answered_is_dropped() -> None:
    world = World()
    await world.image("ocr", tagging=SILENT)
    await world.again("tagging")
    before = dropped()
    assert await world.late("tagging", seconds=0.75) == ()
    assert await world.late("ocr") == ()
    assert dropped() == before + 2


@pytest.mark.parametrize("other", [{"offset": 18}, {"image_id": "another"}])
async def test_prior_of_an_image_that_lacks_none_is_dropped(other: dict[str, Any]) -> None:
    world = World()
    await world.image("ocr", tagging=SILENT)
    before = dropped()
    assert await world.late("tagging", **other) == ()
    assert dropped() == before + 1


async def test_late_failure_makes_no_version() -> None:
    world = World()
    await world.image("ocr", tagging=SILENT)
    before = dropped()
    failed = {"status": "failed", "reason": "no memory", "findings": None}
    assert await world.late("tagging", **failed) == ()
    assert dropped() == before + 1


async def test_refusal_leaves_the_first_caption_standing() -> None:
    """The URL has ended in a caption: it must not end in a reject as well."""
    world = World()
    await world.image("ocr", tagging=SILENT)
    world.engine.refusal = Refused("caption-refused")
    assert await world.late("tagging") == ()


async def test_image_that_was_rejected_is_not_captioned_later() -> None:
    world = World()
    world.engine.refusal = Refused("caption-refused")
    with pytest.raises(Rejected):
        await world.image("ocr", tagging=SILENT)
    world.engine.refusal = None
    assert await world.late("tagging") == ()


async def test_late_prior_waits_for_its_image_in_work() -> None:
    world = World()
    world.engine.gate = asyncio.Event()
    first = asyncio.create_task(world.image("ocr", tagging=SILENT, detection=SILENT))
    again = [asyncio.create_task(world.again(name)) for name in ("tagging", "detection")]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in (first, *again)) and world.store.objects == {}
    world.engine.gate.set()
    versions = [(await task)["version"] for task in (first, *again)]
    assert versions == [0, 1, 2]


async def test_late_prior_that_begins_before_its_image_waits_all_the_same() -> None:
    """A runner that was free takes it at once; the one that has the image is yet to wake."""
    world = World()
    again = asyncio.create_task(world.again("tagging"))
    first = asyncio.create_task(world.image("ocr", tagging=SILENT))
    assert [(await first)["version"], (await again)["version"]] == [0, 1]


async def test_cancelled_image_lets_its_late_prior_go() -> None:
    world = World()
    world.engine.gate = asyncio.Event()
    first = asyncio.create_task(world.image("ocr", tagging=SILENT))
    await asyncio.sleep(0)
    again = asyncio.create_task(world.late("tagging"))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await again == ()


async def test_another_worker_that_wrote_meanwhile_is_built_upon() -> None:
    """A worker that was thought dead still works on another late prior of the image."""
    world, other = World(), World()
    other.store = world.store
    other.fusion._incomplete = world.fusion._incomplete
    await world.image("ocr", tagging=SILENT, detection=SILENT)
    world.engine.gate = asyncio.Event()
    again = asyncio.create_task(world.again("tagging"))
    await asyncio.sleep(0.01)
    assert (await other.again("detection"))["version"] == 1
    world.engine.gate.set()
    found = await again
    assert found["version"] == 2 and found["text"] == "detection ocr tagging"


async def test_image_read_again_after_a_crash_starts_over() -> None:
    """Its late priors were not committed either: they come again."""
    world = World()
    await world.image("ocr", tagging=SILENT)
    await world.again("tagging")
    await world.image("ocr", tagging=SILENT)
    assert (await world.again("tagging"))["version"] == 1


async def test_garbage_among_the_late_is_the_records_fault() -> None:
    world = World()
    await world.image("ocr", tagging=SILENT)
    broken = late("tagging")
    broken.raw = broken.raw[:-4]
    with pytest.raises(Exception, match="do not fit"):
        await world.fusion.process(broken)
