"""One broker with TLS, users and ACLs for all of these tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from densefusion.settings import Kafka
from densefusion.settings_security import KafkaSecurity
from densefusion.store import ObjectStore
from deploy.kafka import acls
from deploy.kafka.cluster import KafkaCluster, available
from deploy.kafka.secure import ADMIN, Secured
from tests.faults.stream import Stream
from tests.security.s3_server import SecureS3

PARTITIONS = 2
STAGES = ("fetch", "curate", "detection", "fusion", "dataset")
USERS = (
    "worker",
    "limited",
    "leaver",
    "produce",
    "topics-create",
    "status",
    "replay",
    *(f"stage-{each}" for each in STAGES),
)
_numbers = itertools.count()
# What the worker of these tests may do: `tests.faults.passing_worker`.
RIGHTS = acls.worker("passing", ["in"], ["out"])


class Brokers:
    """A broker with TLS on every port.

    Attributes:
        admin: gives ACLs.
    """

    def __init__(self, cluster: KafkaCluster, secured: Secured) -> None:
        self.cluster = cluster
        self.secured = secured
        self.admin = AdminClient(
            {"bootstrap.servers": cluster.bootstrap, "log_level": 0, **secured.options()}
        )

    def password(self, user: str, **changes: Any) -> Kafka:
        """Settings of who logs in by password; `changes` of the security."""
        login = {
            "protocol": "SASL_SSL", "username": user, "password": self.secured.passwords[user],
            "ca": self.secured.ca,
        }  # fmt: skip
        return self._kafka(self.cluster.bootstrap, login | changes)

    def certificate(self, user: str, **changes: Any) -> Kafka:
        """Settings of who logs in by a certificate."""
        certificate, key = self.secured.certificate(user)
        login = {"protocol": "SSL", "certificate": certificate, "key": key, "ca": self.secured.ca}
        return self._kafka(self.cluster.mutual, login | changes)

    def grant(self, user: str, rights: list[acls.Right], prefix: str) -> None:
        acls.grant(self.admin, user, rights, prefix)

    def _kafka(self, bootstrap: str, login: dict[str, Any]) -> Kafka:
        given = {name: value for name, value in login.items() if value is not None}
        return Kafka(
            bootstrap=bootstrap,
            partitions=PARTITIONS,
            security=KafkaSecurity(**given),
            retry_for=60,
        )


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    if (reason := available()) is not None:
        pytest.skip(f"no Apache Kafka for the security tests: {reason}")
    folder = tmp_path_factory.mktemp("secure-kafka")
    secured = Secured(folder / "security", USERS)
    # One that was killed is forgotten, and may register again, the sooner.
    quick = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
    with KafkaCluster(folder, 1, secured=secured, properties=quick) as cluster:
        yield Brokers(cluster, secured)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureS3]:
    with SecureS3(tmp_path_factory.mktemp("secure-s3")) as running:
        store = ObjectStore(running.settings())
        store.make_bucket()
        store.close()
        yield running


NewStream = Callable[[], Stream]


@pytest.fixture
def new_stream(brokers: Brokers) -> NewStream:
    """Makes streams with topics of their own, seen by who may do everything."""

    def make() -> Stream:
        prefix = f"stream-{next(_numbers)}."
        kafka = brokers.password(ADMIN)
        return Stream(kafka.model_copy(update={"prefix": prefix})).prepare()

    return make
