"""What brokers refuse for good, told from what may pass.

librdkafka tries a wrong password or certificate again for ever: it is only said to ``error_cb``,
and every call that needs the broker times out. Rights (ACLs) are said by the calls.
"""

from __future__ import annotations

import re

from confluent_kafka import KafkaError

from densefusion.diagnosis import speaks_tls, tls_fault
from densefusion.errors import Refused, SettingsError
from densefusion.security import key_password
from densefusion.settings import Kafka

_SETTINGS = "DENSEFUSION_KAFKA__SECURITY"
# "sasl_ssl://[::1]:9092/bootstrap: ..."
_PLACE = re.compile(r"^\w+://(?P<host>\[[^\]]+\]|[^:/]+):(?P<port>\d+)/")
# A broker that goes away while it is asked for a login.
_CUT_OFF = ("Broker transport failure", "Timed out", "Disconnected")
_RIGHTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


def lacks_right(error: KafkaError) -> bool:
    """Whether an ACL is missing."""
    return error.code() in _RIGHTS


def right_refused(error: KafkaError, what: str) -> Refused:
    """For `lacks_right`. `what` was done: "topic urls"."""
    return Refused(
        f"{what}: {error.str()}: this user lacks the right; docs/security.md lists the ACLs "
        "of each stage"
    )


def login_refused(error: KafkaError) -> bool:
    """Whether an error that ``error_cb`` is given is of a password or a certificate."""
    if any(word in error.str() for word in _CUT_OFF):
        return False
    if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
        return True
    # After the handshake of TLS 1.3 a refused certificate looks like a broken connection.
    return error.code() == KafkaError._TRANSPORT and "SSL routines" in error.str()


def explain(error: KafkaError, settings: Kafka) -> Refused:
    """One line: what, which broker, and what to do. Asks the broker once more where TLS failed."""
    security = settings.security
    place = place_of(error, settings)
    where = f"Kafka broker {place}"
    if error.code() == KafkaError._AUTHENTICATION:
        return Refused(
            f"{where} refuses the user {security.username} ({security.mechanism}): "
            f"{_reason(error)}; see {_SETTINGS}__USERNAME, __PASSWORD and __MECHANISM"
        )
    fault = _tls_fault(place, settings)
    return Refused(f"{where}: {fault or f'{_reason(error)}; see {_SETTINGS}__*'}")


def mismatch(settings: Kafka) -> Refused | None:
    """Where the first broker hangs up without a word: whether it speaks another protocol."""
    place, security = _first(settings), settings.security
    host, port = _split(place)
    where = f"Kafka broker {place}"
    if not security.tls:
        if speaks_tls(host, port):
            return Refused(
                f"{where} speaks TLS, and we do not: set {_SETTINGS}__PROTOCOL to SSL or SASL_SSL"
            )
        return None
    if (fault := _tls_fault(place, settings)) is not None:
        return Refused(f"{where}: {fault}")
    if not security.sasl and speaks_tls(host, port):
        return Refused(
            f"{where} accepts TLS, then hangs up: it may want a username and password "
            f"({_SETTINGS}__PROTOCOL SASL_SSL)"
        )
    return None


def place_of(error: KafkaError, settings: Kafka) -> str:
    """host:port of the broker that an error speaks of."""
    found = _PLACE.match(error.str())
    return f"{found['host']}:{found['port']}" if found is not None else _first(settings)


def _first(settings: Kafka) -> str:
    return (settings.bootstrap or "").split(",")[0].strip().rpartition("/")[2]


def _split(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not host:
        host, port = place, "9092"
    return host.strip("[]"), int(port) if port.isdecimal() else 9092


def _tls_fault(place: str, settings: Kafka) -> str | None:
    security = settings.security
    if not security.tls:  # by `kafka.options`: those are the user's to mend
        return None
    host, port = _split(place)
    try:
        password = key_password(security)
    except SettingsError:
        password = ""
    return tls_fault(
        host,
        port,
        ca=security.ca,
        certificate=security.certificate,
        key=security.key,
        key_password=password,
    )


def _reason(error: KafkaError) -> str:
    """librdkafka's words, without the address before and the times after them."""
    said = _PLACE.sub("", error.str()).partition(": ")
    return re.sub(r" \(after \d+ms in state \w+.*\)$", "", said[2] or said[0])
