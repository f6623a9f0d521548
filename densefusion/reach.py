"""Reaching the brokers: an admin client whose waits end in seconds where they refuse us.

Every command and worker begins with a question to the brokers by way of this, so that a wrong
password or certificate is told at the start, in one line.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from densefusion.errors import BrokerError, Refused
from densefusion.refusals import (
    explain,
    lacks_right,
    login_refused,
    mismatch,
    place_of,
    right_refused,
)
from densefusion.settings import Kafka

log = logging.getLogger("densefusion.kafka")
T = TypeVar("T")
_STEP_SECONDS = 0.05
# Nothing but connections that are closed for so long: then look whether the protocols differ.
_DOUBT_SECONDS = 3.0
_CONFIRM_SECONDS = 5.0
_CONFIRM_AGAIN_SECONDS = 10.0


class Admin:
    """librdkafka's admin client (`client`), and `result`, which waits for its answers.

    Args:
        config: as `clients.common` gives it.
    """

    def __init__(self, settings: Kafka, config: dict[str, Any]) -> None:
        self._settings = settings
        self._refused: KafkaError | None = None
        self._last: KafkaError | None = None
        config = {**config, "error_cb": self._said}
        self.client = AdminClient(config)

    def result(self, future: Future[T], seconds: float, what: str) -> T:
        """What the brokers answer.

        Args:
            what: is asked about, for messages: "topic urls".

        Raises:
            Refused: they do not let us.
            BrokerError: no answer in time.
            KafkaException: an answer that is an error of the call.
        """
        until = time.monotonic() + seconds
        doubt: float | None = time.monotonic() + min(_DOUBT_SECONDS, seconds / 2)
        while not future.done():
            self.client.poll(_STEP_SECONDS)
            if self._refused is not None:
                raise explain(self._refused, self._settings)
            now = time.monotonic()
            if doubt is not None and now > doubt and self._last is not None:
                doubt = None
                if (found := mismatch(self._settings)) is not None:
                    raise found
            if now > until:
                raise self._silence(what, seconds)
        try:
            return future.result(0)
        except KafkaException as error:
            first: KafkaError = error.args[0]
            if lacks_right(first):
                raise right_refused(first, what) from error
            if first.code() == KafkaError._TIMED_OUT:
                raise self._silence(what, seconds) from error
            raise

    def _said(self, error: KafkaError) -> None:
        if login_refused(error):
            self._refused = error
        # "All brokers are down" says less than what came before it.
        if self._last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._last = error

    def _silence(self, what: str, seconds: float) -> BrokerError:
        said = f": {self._last.str()}" if self._last is not None else ""
        return BrokerError(
            f"no answer about {what} from {self._settings.bootstrap} in {seconds:.0f} s{said}"
        )


class OnError:
    """``error_cb`` of the other clients: logs; raises `Refused` where a broker refuses the login.

    The client's call that it is called from (poll, consume, flush) raises that in turn. A broker
    that dies in the middle of a handshake looks the same for a moment, so it is asked once more.

    Args:
        config: of an admin client.
    """

    def __init__(self, settings: Kafka, config: Callable[[], dict[str, Any]]) -> None:
        self._settings = settings
        self._config = config
        self._asked = float("-inf")
        self._one = threading.Lock()

    def __call__(self, error: KafkaError) -> None:
        level = logging.ERROR if error.fatal() else logging.WARNING
        log.log(level, "kafka error", extra={"error": error.str(), "code": error.name()})
        if login_refused(error) and self._may_ask():
            self._confirm(error)

    def _may_ask(self) -> bool:
        with self._one:
            now = time.monotonic()
            due = now - self._asked > _CONFIRM_AGAIN_SECONDS
            self._asked = now if due else self._asked
            return due

    def _confirm(self, error: KafkaError) -> None:
        place = place_of(error, self._settings)
        one = self._settings.model_copy(update={"bootstrap": place})
        admin = Admin(one, {**self._config(), "bootstrap.servers": place})
        try:
            answer = admin.client.describe_cluster(request_timeout=_CONFIRM_SECONDS)
            admin.result(answer, _CONFIRM_SECONDS, "the cluster")
        except Refused:
            raise
        except (BrokerError, KafkaException) as failure:
            log.info("the broker is away", extra={"broker": place, "error": str(failure)})
