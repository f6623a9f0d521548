"""The chart's autoscaling: which lag is read, and how far and fast replicas follow it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from consumers.roster import stage_names
from densefusion.plan.costs import load
from densefusion.plan.request import Request
from densefusion.plan.sizing import plan
from densefusion.settings import Join, Settings
from densefusion.topics import all_topics
from tests.deploy.kubernetes.rendered import of_kind, scalers, values, workloads

pytestmark = pytest.mark.parametrize("name", ["cpu", "gpu"])
INPUTS = {"fetch": ["urls"], "curate": ["fetched"], "dataset": ["captions", "rejects"]}


def kafka(scaler: dict[str, Any]) -> list[dict[str, str]]:
    triggers = scaler["spec"]["triggers"]
    return [each["metadata"] for each in triggers if each["type"] == "kafka"]


def test_every_stage_is_scaled_by_its_own_group(name: str) -> None:
    assert scalers(name).keys() == set(stage_names(Settings()))
    for stage, scaler in scalers(name).items():
        target = scaler["spec"]["scaleTargetRef"]
        workload = workloads(name)[stage]
        assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
        # Else each would undo what the other does.
        assert "replicas" not in workload["spec"], stage
        assert {each["consumerGroup"] for each in kafka(scaler)} == {stage}


def test_the_topics_are_what_the_stages_read(name: str) -> None:
    roster = values()["roster"]
    for stage, scaler in scalers(name).items():
        read = [each["topic"] for each in kafka(scaler)]
        priors = [f"priors.{expert}" for expert in roster]
        expected = priors if stage == "fusion" else INPUTS.get(stage, ["images"])
        assert read == expected and set(read) <= set(all_topics(roster)), stage


def test_no_more_replicas_than_partitions(name: str) -> None:
    partitions = values()["kafka"]["partitions"]
    for stage, scaler in scalers(name).items():
        assert 1 <= scaler["spec"]["minReplicaCount"] <= scaler["spec"]["maxReplicaCount"]
        assert scaler["spec"]["maxReplicaCount"] <= partitions, stage


def test_markers_are_no_work(name: str) -> None:
    """An idle topic shows a lag of one a partition: that is worth no worker over the fewest."""
    partitions = values()["kafka"]["partitions"]
    for stage, scaler in scalers(name).items():
        fewest = scaler["spec"]["minReplicaCount"]
        for trigger in kafka(scaler):
            idle = 0 if trigger["topic"] == "urls" else partitions
            assert int(trigger["activationLagThreshold"]) == idle, stage
            assert int(trigger["lagThreshold"]) * fewest >= idle, stage


def test_a_worker_is_added_for_half_a_minute_of_work(name: str) -> None:
    """As `densefusion plan` reckons it, in two digits."""
    costs = load()
    costs.give("stages.ocr.gpu_rate", 60, "as values-gpu.yaml says")
    gpu = {"cpu": None, "gpu": "l4"}[name]
    request = Request(1e7, gpu=gpu, partitions=values()["kafka"]["partitions"])
    for each in plan(request, costs).stages:
        stage = each.model.stage
        for trigger in kafka(scalers(name)[stage]):
            assert int(trigger["lagThreshold"]) == pytest.approx(each.lag_threshold, rel=0.1), stage


def test_a_group_starts_at_the_beginning_as_the_workers_do(name: str) -> None:
    for scaler in scalers(name).values():
        for trigger in kafka(scaler):
            assert trigger["offsetResetPolicy"] == "earliest"
            assert trigger["allowIdleConsumers"] == "false"
            # KEDA says 1.0.0 where nothing is said, and Kafka 4 answers nobody so old (KIP-896).
            assert tuple(map(int, trigger["version"].split("."))) >= (2, 1, 0)


def test_fusion_is_scaled_by_what_all_experts_have_answered(name: str) -> None:
    spec = scalers(name)["fusion"]["spec"]
    modifiers = spec["advanced"]["scalingModifiers"]
    names = [each["name"] for each in spec["triggers"]]
    assert modifiers["formula"] == f"min({','.join(names)})"
    assert all(re.fullmatch(r"[a-z_]\w*", each) for each in names)
    assert modifiers["metricType"] == "AverageValue"
    assert spec["minReplicaCount"] >= 1


def test_scale_in_respects_the_join(name: str) -> None:
    deadline = Join().deadline  # type: ignore[call-arg]

    def pace(stage: str, way: str) -> dict[str, Any]:
        behaviour = scalers(name)[stage]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
        return dict(behaviour["behavior"][way])

    for stage in scalers(name):
        down = pace(stage, "scaleDown")
        assert down["policies"] == [
            {"type": "Pods", "value": 1, "periodSeconds": down["policies"][0]["periodSeconds"]}
        ], "one by one: each stops its group for a moment"
        assert down["stabilizationWindowSeconds"] > deadline, stage
        if stage != "fusion":
            for way in ("scaleUp", "scaleDown"):
                slow, fast = pace("fusion", way), pace(stage, way)
                assert slow["policies"][0]["periodSeconds"] > fast["policies"][0]["periodSeconds"]
                assert slow["stabilizationWindowSeconds"] > fast["stabilizationWindowSeconds"]


def test_credentials_by_reference(name: str) -> None:
    (authentication,) = of_kind(name, "TriggerAuthentication").values()
    secrets = authentication["spec"]["secretTargetRef"]
    assert {each["parameter"] for each in secrets} == {"ca", "password"}
    (user,) = authentication["spec"]["configMapTargetRef"]
    assert user["key"] in of_kind(name, "ConfigMap")[user["name"]]["data"]
    for scaler in scalers(name).values():
        for trigger in scaler["spec"]["triggers"]:
            reference = trigger["authenticationRef"]["name"]
            assert reference == authentication["metadata"]["name"]
            assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == (
                "enable",
                "scram_sha512",
            )
