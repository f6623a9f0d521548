from __future__ import annotations

from prometheus_client import REGISTRY

from consumers.client_stats import ClientStats, Fetching
from consumers.lanes import Lanes
from consumers.source import TopicSource
from consumers.vitals import Vitals
from tests.consumers.records import CODEC

PLACE = ("topic", 0)


def test_a_commit_that_ends_after_its_partition_is_gone_says_nothing_of_a_later_return() -> None:
    ours = {PLACE}
    source = TopicSource({"topic": "Image"}, CODEC)
    vitals = Vitals("vitals", Lanes(10), source, None, lambda: ours, 90)
    ours.clear()  # lost, with a transaction under way that went through all the same
    vitals.revoked({PLACE})
    vitals.committed({PLACE: 5})
    ours.add(PLACE)  # another has gone on from there to 40
    stats = ClientStats("vitals")
    stats.partitions = {PLACE: Fetching(60, 100, 40, 0, "active")}
    vitals._told(stats)
    labels = {"stage": "vitals", "topic": "topic", "partition": "0"}
    assert REGISTRY.get_sample_value("densefusion_consumer_lag_records", labels) == 60
