"""Fusion on real brokers: an expert that dies and comes back; workers that come and go in the
middle of a window."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from densefusion import metrics
from tests.faults.conftest import PARTITIONS, MakeKafka
from tests.faults.joining import EXPERTS, Joining, until
from tests.faults.scenarios import PROTOCOLS, all_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]
DEADLINE = 4.0
Captions = dict[int, list[dict[str, Any]]]


def used(caption: dict[str, Any]) -> tuple[str, ...]:
    """The experts whose priors are in a caption; what it says has to agree."""
    names = tuple(each["expert"] for each in caption["priors"])
    assert caption["text"].split() == sorted(names)
    missing = {each["expert"] for each in caption["missing"]}
    assert not missing & set(names), caption
    return names


def in_order(captions: Captions, stream: Joining) -> None:
    """Every image has one first caption, on its own partition, in the order of the images."""
    for number, found in captions.items():
        first = [each["image_id"] for each in found if each["version"] == 0]
        assert first == [name for name, partition, _ in stream.images if partition == number]


def versions(captions: Captions) -> dict[str, list[dict[str, Any]]]:
    """By image, in the order in which they came; numbered without a gap."""
    found: dict[str, list[dict[str, Any]]] = {}
    for caption in itertools.chain.from_iterable(captions.values()):
        found.setdefault(caption["image_id"], []).append(caption)
    for each in found.values():
        assert [caption["version"] for caption in each] == list(range(len(each)))
    return found


async def expert_away(stream: Joining, *, recaption: bool) -> None:
    """`ocr` answers, is dead for sixty images and longer than the deadline, then answers all."""
    async with stream.fusion("one", deadline=DEADLINE, recaption=recaption):
        before = stream.put(40)
        for expert in EXPERTS:
            stream.answer(expert, before)
        await stream.captions(40)
        during = stream.put(60)
        stream.answer("tagging", during)
        await stream.captions(100)
        stream.answer("ocr", during)
        again = len(during) if recaption else 0
        await stream.captions(100 + again)
        after = stream.put(40)
        stream.answer("ocr", after)  # in time: they wait for `tagging`
        stream.answer("tagging", after)
        captions = await stream.captions(140 + again)
    in_order(captions, stream)
    found = versions(captions)
    for image_id, *_ in before + after:
        (only,) = found[image_id]
        assert used(only) == EXPERTS and only["missing"] == []
    stream.late = 0 if recaption else len(during)
    for image_id, *_ in during:
        first, *later = found[image_id]
        assert used(first) == ("tagging",)
        assert [each["expert"] for each in first["missing"]] == ["ocr"]
        assert len(later) == recaption
        for each in later:
            assert used(each) == EXPERTS and each["missing"] == []


async def comes_and_goes(
    stream: Joining, *, roster: Sequence[str] = EXPERTS, partial: bool = False
) -> None:
    """A second worker takes over half in the middle of a window, and leaves in the middle of one.

    Args:
        roster: the second one's. What it does not follow stays with the first, which cannot join
            the rest of that number any more, and has to read it again when all is back.
        partial: what the first one keeps, it has all the time.
    """
    images = stream.put(400)
    stream.answer("tagging", images)
    by_partition = [[p for p in images if p[1] == number] for number in range(PARTITIONS)]

    def answer(begin: float, end: float) -> int:
        """`ocr` answers so much of each partition; how many it has answered in all."""
        for places in by_partition:
            size = len(places)
            stream.answer("ocr", places[round(begin * size) : round(end * size)])
        return sum(round(end * len(places)) for places in by_partition)

    everything = PARTITIONS * (1 + len(EXPERTS))
    half = PARTITIONS * (1 + len(roster)) // 2
    async with stream.fusion("one", deadline=60) as one:
        await stream.captions(answer(0, 0.25))
        answered = answer(0.25, 0.4)
        async with stream.fusion("two", deadline=60, roster=roster) as two:
            await until(
                lambda: len(two.holds) == half and len(one.holds) == everything - half,
                "half of the partitions",
            )
            kept = one.holds
            assert not kept & two.holds
            answered = answer(0.4, 0.6)
            await stream.captions(answered)
        await until(lambda: len(one.holds) == everything, "all partitions")
        answer(0.6, 1)
        more = stream.put(40)
        for expert in EXPERTS:
            stream.answer(expert, more)
        captions = await stream.captions(len(stream.images))
        assert not partial or not one.source.taken & kept
        assert roster == EXPERTS or one.source.read_again
    in_order(captions, stream)
    for (only,) in versions(captions).values():
        assert only["missing"] == []
        if used(only) != EXPERTS:
            assert used(only) == tuple(roster)
            stream.late += 1
    assert (stream.late > 0) == (roster != EXPERTS)


async def test_an_expert_dies_and_comes_back_and_workers_come_and_go(
    new_kafka: MakeKafka,
) -> None:
    late = metrics.LATE_PRIORS.labels("fusion")._value
    again = metrics.RECAPTIONS.labels("ocr")._value
    dropped, recaptioned = late.get(), again.get()
    protocols = {"drop": "classic", "recaption": "consumer", "roster": "consumer"}
    protocols |= {name: name for name in PROTOCOLS}
    made = {name: Joining(new_kafka(group_protocol=each)) for name, each in protocols.items()}
    await all_of(
        {
            "drop": expert_away(made["drop"], recaption=False),
            "recaption": expert_away(made["recaption"], recaption=True),
            "roster": comes_and_goes(made["roster"], roster=("ocr",)),
            "classic": comes_and_goes(made["classic"]),
            "consumer": comes_and_goes(made["consumer"], partial=True),
        }
    )
    assert late.get() - dropped == sum(each.late for each in made.values())
    assert again.get() - recaptioned == 60
