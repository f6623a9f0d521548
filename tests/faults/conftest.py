"""Real brokers for the fault tests: one cluster of three for all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from densefusion.settings import Kafka, Settings
from deploy.kafka.cluster import KafkaCluster, available
from tests.faults.stream import Stream

PARTITIONS = 4
_numbers = itertools.count()
MakeKafka = Callable[..., Kafka]
MakeStream = Callable[..., Stream]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: more of the same; left out unless `-m` asks for it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("-m"):
        skip = pytest.mark.skip(reason="slow; `pytest tests/faults -m integration` runs it, too")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    if (reason := available()) is not None:
        pytest.skip(f"no Apache Kafka for the fault tests: {reason}")
    with KafkaCluster(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def whole(cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """The cluster, for a test that takes brokers away: they are back at its end."""
    yield cluster
    for node in range(3):
        if node in cluster.frozen:
            cluster.thaw(node)
        elif node not in cluster.pids():
            cluster.restart(node)
    cluster.wait_ready()


@pytest.fixture
def new_kafka(cluster: KafkaCluster, request: pytest.FixtureRequest) -> MakeKafka:
    """Makes settings with topics and groups of their own; further settings of Kafka by name."""

    def make(**kafka: object) -> Kafka:
        prefix = f"{request.node.originalname.removeprefix('test_')[:40]}-{next(_numbers)}."
        ours = {
            "bootstrap": cluster.bootstrap, "replication": cluster.replication,
            "partitions": PARTITIONS, "prefix": prefix,
        }  # fmt: skip
        return Settings().kafka.model_copy(update=ours | kafka)

    return make


@pytest.fixture
def new_stream(new_kafka: MakeKafka) -> MakeStream:
    """Makes streams, as `new_kafka` does."""
    return lambda **kafka: Stream(new_kafka(**kafka)).prepare()
