"""Our policies for the pods of the chart, over its rendered manifests."""

from __future__ import annotations

import re
from typing import Any

import pytest
from kubernetes_validate import validate

from densefusion.clients import TRANSACTION_SECONDS
from tests.deploy.commands import environment_fields, parse
from tests.deploy.kubernetes.rendered import (
    containers,
    manifests,
    of_kind,
    pod,
    values,
    workloads,
)
from tests.security.store_rights import POLICIES

STAGES = {"fetch", "curate", "detection", "tagging", "ocr", "knowledge", "fusion", "dataset"}
RENDERINGS = ["cpu", "gpu"]
KUBERNETES = "1.34"
_OF_KUBERNETES = re.compile(r"^(v1|apps/v1|policy/v1|networking\.k8s\.io/v1)$")

pytestmark = pytest.mark.parametrize("name", RENDERINGS)


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_kubernetes_schemas(name: str) -> None:
    known = [each for each in manifests(name) if _OF_KUBERNETES.match(each["apiVersion"])]
    assert {"StatefulSet", "NetworkPolicy", "PodDisruptionBudget"} <= {e["kind"] for e in known}
    # One of each kind and stage's shape is enough: they come from one template.
    for each in known:
        if each["kind"] != "StatefulSet" or each["metadata"]["name"].endswith(("fusion", "ocr")):
            validate(each, KUBERNETES, strict=True)


def test_every_stage_runs(name: str) -> None:
    assert workloads(name).keys() == STAGES


def test_hardened(name: str) -> None:
    for stage, workload in workloads(name).items():
        spec = pod(workload)
        security = spec["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] > 0, stage
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, stage
        assert spec["automountServiceAccountToken"] is False, stage
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, stage
        assert not any("hostPath" in volume for volume in spec["volumes"]), stage
        for container in containers(workload):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, stage
            assert context["allowPrivilegeEscalation"] is False, stage
            assert context["capabilities"] == {"drop": ["ALL"]}, stage
            assert not container["image"].endswith(":latest") and ":" in container["image"]
            assert container["resources"]["limits"]["memory"], stage
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, stage


def test_what_is_written_has_a_place(name: str) -> None:
    """The root is read-only: the slots' locks and temporary files need /tmp."""
    for stage, workload in workloads(name).items():
        volumes = {volume["name"]: volume for volume in pod(workload)["volumes"]}
        for container in containers(workload):
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert "sizeLimit" in volumes[mounts["/tmp"]]["emptyDir"], stage
            assert set(mounts.values()) <= volumes.keys(), stage


def test_secrets_by_reference_only(name: str) -> None:
    assert not of_kind(name, "Secret")
    for stage, workload in workloads(name).items():
        mounted = {m["mountPath"] for c in containers(workload) for m in c["volumeMounts"]}
        for container in containers(workload):
            for variable, value in environment(container).items():
                if re.search(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY", variable):
                    by_reference = isinstance(value, dict) and "secretKeyRef" in value
                    by_file = variable.endswith("_FILE") and value.rsplit("/", 1)[0] in mounted
                    assert by_reference or by_file, (stage, variable)
        for volume in pod(workload)["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["items"], "named keys only"
                assert volume["secret"]["defaultMode"] == 0o440


def test_keys_of_the_store(name: str) -> None:
    """One user for all, or with values-keys.yaml for each stage the policy that is named for it."""
    experts = set(values()["roster"])
    for stage, workload in workloads(name).items():
        (volume,) = [v["secret"] for v in pod(workload)["volumes"] if v["name"] == "store"]
        policy = "expert" if stage in experts else stage
        own = f"densefusion-store-{policy}"
        assert volume["secretName"] == {"cpu": "densefusion-store", "gpu": own}[name], stage
        assert (POLICIES / f"{policy}-policy.json").exists()
        files = {f"/run/secrets/store/{each['path']}" for each in volume["items"]}
        for container in containers(workload):
            named = environment(container)
            assert files == {
                named[f"DENSEFUSION_STORE__{part}_KEY_FILE"] for part in ("ACCESS", "SECRET")
            }


def test_commands_and_settings_exist(name: str) -> None:
    fields = environment_fields()
    for stage, workload in workloads(name).items():
        for container in containers(workload):
            command, options = parse(container["args"])
            if container["name"] == "worker":
                assert (command, list(options["stage"])) == ("worker", [stage])
            else:
                assert command == "engines build"
            unknown = environment(container).keys() - fields
            assert not unknown, (stage, unknown)


def test_identity(name: str) -> None:
    """A stable name is a stable transactional id, and what static membership needs."""
    for stage, workload in workloads(name).items():
        variables = environment(pod(workload)["containers"][0])
        instance = variables["DENSEFUSION_WORKER__INSTANCE"]
        assert instance == {"fieldRef": {"fieldPath": "metadata.name"}}, stage
        static = variables["DENSEFUSION_KAFKA__STATIC_MEMBERSHIP"] == "true"
        assert workload["kind"] == "StatefulSet" or not static, stage
        if workload["kind"] == "StatefulSet":
            assert workload["spec"]["serviceName"] in of_kind(name, "Service")
            assert workload["spec"]["podManagementPolicy"] == "Parallel"


def test_a_pod_may_finish_its_batch(name: str) -> None:
    for stage, workload in workloads(name).items():
        variables = environment(pod(workload)["containers"][0])
        grace = sum(
            float(variables[f"DENSEFUSION_WORKER__{each}_GRACE"]) for each in ("SHUTDOWN", "REVOKE")
        )
        least = grace + TRANSACTION_SECONDS
        assert pod(workload)["terminationGracePeriodSeconds"] >= least, stage


def test_probes(name: str) -> None:
    for stage, workload in workloads(name).items():
        worker = pod(workload)["containers"][0]
        paths = {p: worker[f"{p}Probe"]["httpGet"]["path"] for p in ("liveness", "readiness")}
        assert paths == {"liveness": "/healthz", "readiness": "/readyz"}, stage
        port = int(environment(worker)["DENSEFUSION_WORKER__METRICS_PORT"])
        assert {"name": "metrics", "containerPort": port} in worker["ports"], stage
        liveness = worker["livenessProbe"]
        # A revoked partition's work is waited for, and so are brokers that are away for a moment.
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60, stage


def test_spread_and_disruption(name: str) -> None:
    budgets = of_kind(name, "PodDisruptionBudget")
    for stage, workload in workloads(name).items():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        budget = budgets[workload["metadata"]["name"]]["spec"]
        assert budget["maxUnavailable"] == 1
        for selector in [
            budget["selector"],
            workload["spec"]["selector"],
            *(each["labelSelector"] for each in pod(workload)["topologySpreadConstraints"]),
        ]:
            assert selector["matchLabels"].items() <= labels.items(), stage
            assert selector["matchLabels"]["densefusion.io/stage"] == stage


def test_gpus(name: str) -> None:
    gpu = {"detection", "tagging", "ocr"} if name == "gpu" else set()
    for stage, workload in workloads(name).items():
        has = [c["resources"]["limits"].get("nvidia.com/gpu") for c in containers(workload)]
        assert set(has) == ({1} if stage in gpu else {None}), stage
        if stage in gpu:
            init, worker = containers(workload)
            variables = environment(worker)
            assert init["image"] == worker["image"] and init["image"].endswith("-gpu")
            assert variables["DENSEFUSION_EXPERTS__PROVIDER"] == "tensorrt"
            # Built before, never while partitions wait.
            assert variables["DENSEFUSION_EXPERTS__ENGINE_MISMATCH"] == "refuse"
            engines = "/var/lib/densefusion/engines"
            for container in (init, worker):
                assert engines in [m["mountPath"] for m in container["volumeMounts"]], stage
            assert any(t["key"] == "nvidia.com/gpu" for t in pod(workload)["tolerations"]), stage


def test_the_models_that_are_built_are_in_the_catalogue(name: str) -> None:
    from engines.catalogue import catalogue

    for workload in workloads(name).values():
        for container in pod(workload).get("initContainers", []):
            _, options = parse(container["args"])
            assert options["model"] and set(options["model"]) <= catalogue().keys()
