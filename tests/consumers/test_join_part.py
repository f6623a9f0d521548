"""Fusion's source: what it reads of priors, and which it does not use."""

from __future__ import annotations

import pytest

from consumers.join_part import LatePrior
from consumers.source import drain
from densefusion import metrics
from schemas import SchemaError
from tests.consumers.messages import message
from tests.consumers.records import CODEC, prior
from tests.consumers.test_join_source import (
    DEADLINE,
    EXPERTS,
    IMAGES,
    give_image,
    give_prior,
    listen,
    source,
)


def test_prior_of_another_partition_is_unreadable() -> None:
    joined = source()
    raw = CODEC.encode("Prior:ocr", prior("ocr", "i0-0", 0, partition=5), "")
    joined.offer([message(EXPERTS["ocr"], 0, 0, raw)], 0.0)
    (broken,) = drain(joined, 0.0)
    assert broken.error is not None and "partition 5" in str(broken.error)


def test_prior_of_another_image_is_not_used() -> None:
    joined = source(experts={"ocr": EXPERTS["ocr"]})
    give_image(joined, 0)
    raw = CODEC.encode("Prior:ocr", prior("ocr", "another", 0), "")
    joined.offer([message(EXPERTS["ocr"], 0, 3, raw)], 0.0)
    (arrival,) = drain(joined, 0.0)
    assert arrival.record is not None and arrival.record.joined == {}
    assert arrival.record.missing == {"ocr": "its prior at this place is of another image"}
    assert arrival.commits[EXPERTS["ocr"], 0] == 4


def test_failed_expert_is_missing_though_its_prior_is_here() -> None:
    joined = source(experts={"ocr": EXPERTS["ocr"]})
    give_image(joined, 0)
    value = prior("ocr", "i0-0", 0, status="failed", reason="no memory", findings=None)
    joined.offer([message(EXPERTS["ocr"], 0, 0, CODEC.encode("Prior:ocr", value, ""))], 0.0)
    (arrival,) = drain(joined, 0.0)
    assert arrival.record is not None and set(arrival.record.joined) == {"ocr"}
    assert arrival.record.missing == {"ocr": "failed: no memory"}


def test_prior_is_not_decoded_until_somebody_looks() -> None:
    joined = source(experts={"ocr": EXPERTS["ocr"]})
    give_image(joined, 0)
    raw = CODEC.encode("Prior:ocr", prior("ocr", "i0-0", 0), "")[:-9]
    joined.offer([message(EXPERTS["ocr"], 0, 0, raw)], 0.0)
    (arrival,) = drain(joined, 0.0)
    assert arrival.record is not None and arrival.record.joined["ocr"].raw == raw
    with pytest.raises(SchemaError):
        _ = arrival.record.joined["ocr"].value


def test_late_prior_is_a_record_of_its_own_where_it_is_kept() -> None:
    joined = source(experts={"ocr": EXPERTS["ocr"]}, keep_late=True)
    give_image(joined, 0)
    (image_alone,) = listen(joined, 0.0, DEADLINE)
    assert image_alone.record is not None and set(image_alone.record.missing) == {"ocr"}
    give_prior(joined, "ocr", 7, of=0, now=DEADLINE)
    (late,) = drain(joined, DEADLINE)
    assert isinstance(late.record, LatePrior) and late.record.expert == "ocr"
    assert late.record.value["image_id"] == "i0-0"
    assert late.lane == (IMAGES, 0) and late.commits == {(EXPERTS["ocr"], 0): 8}
    assert late.message.topic() == EXPERTS["ocr"]


def test_late_priors_are_counted_where_they_are_dropped() -> None:
    before = metrics.LATE_PRIORS.labels("fusion")._value.get()
    joined = source(experts={"ocr": EXPERTS["ocr"]})
    give_image(joined, 5)
    for offset in range(5):
        give_prior(joined, "ocr", offset, of=offset)
    assert list(drain(joined, 0.0)) == []
    assert metrics.LATE_PRIORS.labels("fusion")._value.get() == before + 5


def test_old_priors_of_an_expert_that_is_new_in_the_roster_are_dropped() -> None:
    """Its topic begins long before what is left to do."""
    joined = source(window=50)
    for offset in range(1000, 1010):
        give_image(joined, offset)
        give_prior(joined, "tagging", offset, of=offset)
    read = 0
    left = []
    while read < 1010:
        if (EXPERTS["ocr"], 0) not in joined.pauses(set()):
            for _ in range(10):
                give_prior(joined, "ocr", read, of=read)
                read += 1
        left += list(drain(joined, 0.0))
    assert [set(each.record.joined) for each in left if each.record] == [set(EXPERTS)] * 10
