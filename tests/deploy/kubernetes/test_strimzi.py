"""The examples for Strimzi: the topics that the stream needs, and users who may do no more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consumers.roster import expert_classes, stage_names
from densefusion.plan.costs import load
from densefusion.plan.request import Request
from densefusion.plan.sizing import plan
from densefusion.replay.marks import REPLAYED
from densefusion.settings import Settings
from densefusion.topics import URLS, all_topics
from deploy.kafka.acls import Right, operator, stages
from tests.deploy.kubernetes.rendered import strimzi, values


def topics() -> dict[str, Any]:
    return {each["metadata"]["name"]: each["spec"] for each in strimzi("topics.yaml")}


def acls(user: str) -> dict[tuple[str, str, str], set[str]]:
    """What a user may do, by (kind, name, pattern)."""
    (found,) = [u for u in strimzi("users.yaml") if u["metadata"]["name"] == user]
    rules = found["spec"]["authorization"]["acls"]
    return {
        (r["resource"]["type"], r["resource"]["name"], r["resource"]["patternType"]): set(
            r["operations"]
        )
        for r in rules
    }


def test_all_are_of_the_one_cluster_and_of_v1() -> None:
    for file in ("kafka.yaml", "topics.yaml", "users.yaml"):
        for each in strimzi(file):
            assert each["apiVersion"] == "kafka.strimzi.io/v1"
            if each["kind"] != "Kafka":
                assert each["metadata"]["labels"] == {"strimzi.io/cluster": "densefusion"}


def test_the_topics() -> None:
    found = topics()
    assert found.keys() == {*all_topics(values()["roster"]), REPLAYED}
    stream = {name: spec for name, spec in found.items() if name != REPLAYED}
    assert {spec["partitions"] for spec in stream.values()} == {values()["kafka"]["partitions"]}
    assert {spec["replicas"] for spec in found.values()} == {3}
    assert found[REPLAYED]["config"] == {"cleanup.policy": "compact"}


def test_they_are_kept_as_long_as_the_plan_reckons_and_fit() -> None:
    days = load()("kafka.retention_days")
    stream = {name: spec for name, spec in topics().items() if name != REPLAYED}
    kept = {spec["config"]["retention.ms"] for spec in stream.values()}
    assert kept == {days * 24 * 3600 * 1000}
    (pool,) = [m["spec"] for m in strimzi("kafka.yaml") if m["kind"] == "KafkaNodePool"]
    (volume,) = pool["storage"]["volumes"]
    disk = pool["replicas"] * int(volume["size"].removesuffix("Gi")) * 2**30 / 1e9
    needed = plan(Request(1e7, partitions=values()["kafka"]["partitions"]), load()).storage
    assert needed.kafka_disk_gb < 0.8 * disk  # topics.yaml says so


def named(rights: Iterable[Right]) -> dict[tuple[str, str, str], set[str]]:
    """As `acls` has them. READ and WRITE include DESCRIBE in Kafka; Strimzi's say it."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for right in rights:
        kind = right.resource.replace("transactional-id", "transactionalId")
        pattern = "prefix" if right.name.endswith("*") else "literal"
        key = (kind, right.name.removesuffix("*"), pattern)
        found.setdefault(key, {"Describe"}).add(right.operation.capitalize())
    return found


def test_the_workers_user() -> None:
    follows = {name: each.follows for name, each in expert_classes(values()["roster"]).items()}
    rights = [right for each in stages(follows).values() for right in each]
    assert acls("densefusion-worker") == named(rights)


def test_the_operators_user() -> None:
    follows = {name: each.follows for name, each in expert_classes(values()["roster"]).items()}
    assert acls("densefusion-operator") == named(operator(follows))


def test_producers_write_urls_alone() -> None:
    assert acls("densefusion-producer") == {("topic", URLS, "literal"): {"Describe", "Write"}}


def test_keda_reads_no_record() -> None:
    allowed = acls(values()["keda"]["username"])
    assert {operation for rights in allowed.values() for operation in rights} == {"Describe"}
    groups = {name for kind, name, _ in allowed if kind == "group"}
    assert groups == set(stage_names(Settings()))


def test_the_charts_secrets_are_those_that_strimzi_makes() -> None:
    users = {each["metadata"]["name"] for each in strimzi("users.yaml")}
    security = values()["kafka"]["security"]
    assert security["passwordSecret"]["name"] == security["username"] in users
    assert values()["keda"]["passwordSecret"]["name"] == values()["keda"]["username"] in users
    (cluster,) = [m for m in strimzi("kafka.yaml") if m["kind"] == "Kafka"]
    name = cluster["metadata"]["name"]
    assert security["caSecret"]["name"] == f"{name}-cluster-ca-cert"
    (listener,) = cluster["spec"]["kafka"]["listeners"]
    assert values()["kafka"]["bootstrap"] == f"{name}-kafka-bootstrap:{listener['port']}"
