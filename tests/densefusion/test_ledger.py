from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from densefusion import ledger


class Answers:
    """A call to the brokers that fails with each of `errors` before it answers."""

    def __init__(self, *errors: int) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self, value: int) -> int:
        self.calls += 1
        if self._errors:
            raise KafkaException(KafkaError(self._errors.pop(0)))
        return value


def test_what_passes_is_waited_for() -> None:
    call = Answers(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
    assert ledger._again(call, 7) == 7


def test_what_does_not_pass_is_said_at_once() -> None:
    call = Answers(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        ledger._again(call, 7)
    assert call.calls == 1
