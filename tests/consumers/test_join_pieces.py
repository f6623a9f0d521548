"""Fusion's source while partitions come and go, one by one."""

from __future__ import annotations

import logging

import pytest

from consumers.source import drain
from tests.consumers.test_join_source import (
    DEADLINE,
    EXPERTS,
    IMAGES,
    empty,
    give_image,
    give_prior,
    listen,
    source,
)


def test_pieces_of_a_number_are_held_until_all_are_here() -> None:
    joined = empty()
    joined.assigned([(IMAGES, 0), (EXPERTS["tagging"], 0)])
    give_image(joined, 0)
    give_prior(joined, "tagging", 0, of=0)
    assert joined.pauses(set()) == {(IMAGES, 0), (EXPERTS["tagging"], 0)}
    assert list(listen(joined, 0.0, 5 * DEADLINE)) == []
    joined.assigned([(EXPERTS["ocr"], 0)])
    assert joined.pauses(set()) == set()
    assert joined.rewinds() == set(), "what was polled early is still here"
    now = 5 * DEADLINE
    assert list(drain(joined, now)) == [], "time without the topic is no silence of its expert"
    give_prior(joined, "ocr", 0, of=0, now=now)
    (arrival,) = drain(joined, now)
    assert arrival.record is not None and set(arrival.record.joined) == set(EXPERTS)


def test_lacking_topics_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    joined = empty()
    joined.assigned([(IMAGES, 1), (EXPERTS["tagging"], 1)])
    with caplog.at_level(logging.WARNING):
        assert list(listen(joined, 0.0, 2.0)) == []
        assert caplog.records == [], "the rest may be on its way"
        assert list(listen(joined, 2.0, 100.0)) == []
    (said,) = (vars(record) for record in caplog.records)
    assert (said["partition"], said["not_ours"]) == (1, ["x.priors.ocr"])


def test_part_of_a_number_goes_and_the_rest_is_read_again() -> None:
    joined = source(window=1)
    give_image(joined, 0)
    give_prior(joined, "tagging", 0, of=0)
    joined.revoked([(EXPERTS["ocr"], 0)])
    assert joined.rewinds() == set(), "not before all is here again"
    assert joined.pauses(set()) == {(IMAGES, 0), (EXPERTS["tagging"], 0)}
    give_image(joined, 1)
    assert list(listen(joined, 0.0, 2 * DEADLINE)) == []
    joined.assigned([(EXPERTS["ocr"], 0)])
    give_image(joined, 2)  # polled before the seek
    assert joined.rewinds() == {(IMAGES, 0), (EXPERTS["tagging"], 0)}
    assert joined.rewinds() == set()
    assert joined.pauses(set()) == set()
    give_image(joined, 0)
    for expert in EXPERTS:
        give_prior(joined, expert, 0, of=0)
    (arrival,) = drain(joined, 2 * DEADLINE)
    assert arrival.record is not None and arrival.record.offset == 0
    assert set(arrival.record.joined) == set(EXPERTS)


def test_part_that_goes_for_good_is_not_sought() -> None:
    joined = source()
    joined.revoked([(EXPERTS["ocr"], 0)])
    joined.revoked([(EXPERTS["tagging"], 0)])
    joined.assigned([(EXPERTS["tagging"], 0), (EXPERTS["ocr"], 0)])
    assert joined.rewinds() == {(IMAGES, 0)}, "the others begin at what is committed anyway"


def test_part_that_was_polled_early_and_goes_again_is_not_kept() -> None:
    """It is read again when it comes back."""
    joined = empty()
    joined.assigned([(IMAGES, 0), (EXPERTS["ocr"], 0)])
    give_image(joined, 0)
    give_prior(joined, "ocr", 0, of=0)
    joined.revoked([(IMAGES, 0)])
    joined.assigned([(IMAGES, 0), (EXPERTS["tagging"], 0)])
    assert joined.rewinds() == set(), "what is held of the rest is whole"
    give_image(joined, 0)
    give_prior(joined, "tagging", 0, of=0)
    (arrival,) = drain(joined, 0.0)
    assert arrival.record is not None and set(arrival.record.joined) == set(EXPERTS)
    assert list(listen(joined, 0.0, 3 * DEADLINE)) == [], "the image was held twice"


def test_lanes_of_a_part_are_those_of_its_number() -> None:
    assert source().lanes([(EXPERTS["ocr"], 3), (IMAGES, 4)]) == {(IMAGES, 3), (IMAGES, 4)}


def test_revoked_partition_is_forgotten_and_begins_anew() -> None:
    joined = source(partitions=2, window=1)
    give_image(joined, 0, 0)
    assert joined.pauses(set()) == {(IMAGES, 0)}
    gone = [(topic, 0) for topic in joined.topics]
    joined.revoked(gone)
    assert joined.pauses(set()) == set()
    give_image(joined, 1, 0)  # polled before, offered after
    assert list(listen(joined, 0.0, 2 * DEADLINE)) == []
    joined.assigned(gone)
    assert joined.rewinds() == set()
    give_image(joined, 0, 0, now=2 * DEADLINE)
    assert len(list(listen(joined, 2 * DEADLINE, 3 * DEADLINE))) == 1
