"""What is committed after a commit that failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest

from consumers.checkpoints import Checkpoints
from consumers.lanes import Lanes
from consumers.transaction import Aborted, Outgoing, Uncertain
from densefusion.errors import BrokerError
from densefusion.settings import Settings
from tests.consumers.messages import arrival, outgoing

A, B = ("topic", 0), ("topic", 1)


class ScriptedTransactions:
    """Each commit ends as the next of `outcomes` says: with its exception, or well."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.committed: list[dict[tuple[str, int], int]] = []
        self._outcomes = list(outcomes)

    def commit(
        self, sent: Sequence[Outgoing], offsets: Mapping[tuple[str, int], int], group: object
    ) -> float:
        if self._outcomes and (outcome := self._outcomes.pop(0)) is not None:
            raise outcome
        self.committed.append(dict(offsets))
        return 0.0


class StandingMembership:
    """A group that stands at `offset` in every partition, or where `stands` says.

    Attributes:
        away: it does not answer.
    """

    group = object()

    def __init__(self, offset: int = 0, stands: Mapping[tuple[str, int], int] | None = None):
        self._offset = offset
        self._stands = stands or {}
        self.away = False

    async def committed(self, places: list) -> list:  # type: ignore[type-arg]
        while self.away:
            await asyncio.sleep(0.01)
        for place in places:
            place.offset = self._stands.get((place.topic, place.partition), self._offset)
        return places


class UncountedOutputs:
    def count(self, sent: Sequence[Outgoing]) -> None: ...


def checkpoints(
    transactions: object, lanes: Lanes, membership: StandingMembership | None = None
) -> Checkpoints:
    return Checkpoints(
        "test", lanes, membership or StandingMembership(), transactions, UncountedOutputs(),  # type: ignore[arg-type]
        Settings().worker, lambda offsets: None,
    )  # fmt: skip


def finish(lanes: Lanes, lane: tuple[str, int], offset: int) -> None:
    lanes.add(arrival(lane, offset)).outgoing = [outgoing()]


async def test_nothing_is_committed_after_what_could_not_be() -> None:
    transactions = ScriptedTransactions(BrokerError("brokers are away"))
    lanes = Lanes(10)
    commits = checkpoints(transactions, lanes)
    finish(lanes, A, 0)
    with pytest.raises(BrokerError):
        await commits.commit()
    finish(lanes, A, 1)
    await commits.commit()  # as a worker does that leaves: it would skip the first record
    assert transactions.committed == []


@pytest.mark.parametrize("failure", [Aborted("aborted"), Uncertain("uncertain")])
async def test_what_was_not_committed_is_tried_again(failure: Exception) -> None:
    transactions = ScriptedTransactions(failure)
    lanes = Lanes(10)
    commits = checkpoints(transactions, lanes)
    finish(lanes, A, 0)
    await commits.commit()
    finish(lanes, A, 1)
    await commits.commit()
    assert transactions.committed == [{A: 2}]


async def test_an_uncertain_commit_that_went_through_is_not_repeated() -> None:
    transactions = ScriptedTransactions(Uncertain("uncertain"))
    lanes = Lanes(10)
    commits = checkpoints(transactions, lanes, StandingMembership(1))
    finish(lanes, A, 0)
    await commits.commit()
    finish(lanes, A, 1)
    await commits.commit()
    assert transactions.committed == [{A: 2}]


async def test_another_s_commit_is_no_proof_that_ours_went_through() -> None:
    """A was taken away while the transaction hung, and its next owner has gone on from there."""
    transactions = ScriptedTransactions(Uncertain("uncertain"))
    lanes = Lanes(10)
    commits = checkpoints(transactions, lanes, StandingMembership(stands={A: 5, B: 0}))
    finish(lanes, A, 0)
    finish(lanes, B, 0)
    committing = asyncio.create_task(commits.commit())
    await asyncio.sleep(0)
    lanes.drop({A})
    await committing
    await commits.commit()
    assert transactions.committed == [{B: 1}]


@pytest.mark.parametrize("failure", [Aborted("aborted"), Uncertain("uncertain")])
async def test_not_for_ever(failure: Exception) -> None:
    lanes = Lanes(10)
    commits = checkpoints(ScriptedTransactions(*[failure] * 100), lanes)
    finish(lanes, A, 0)
    with pytest.raises(BrokerError, match="30 commits failed in a row"):
        for _ in range(100):
            await commits.commit()


async def test_a_hand_over_that_takes_too_long_holds_up_no_other_lane() -> None:
    class SlowTransactions(ScriptedTransactions):
        def commit(self, *call: object) -> float:
            if A in call[1]:  # type: ignore[operator]
                time.sleep(0.3)
            return super().commit(*call)  # type: ignore[arg-type]

    transactions = SlowTransactions()
    lanes = Lanes(10)
    commits = checkpoints(transactions, lanes)
    finish(lanes, A, 0)
    finish(lanes, B, 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await commits.commit({A})
    await commits.commit()
    assert {B: 1} in transactions.committed


async def test_a_hand_over_given_up_while_the_outcome_is_asked_for_stops_no_other_lane() -> None:
    transactions = ScriptedTransactions(Uncertain("uncertain"))
    lanes = Lanes(10)
    membership = StandingMembership()
    membership.away = True
    commits = checkpoints(transactions, lanes, membership)
    finish(lanes, A, 0)
    finish(lanes, B, 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await commits.commit({A})
    lanes.drop({A})
    membership.away = False
    await commits.commit()
    assert transactions.committed == [{B: 1}]
