"""The chart itself: what is checked in is what helm makes of it, and wrong values are refused.

Where helm is not on the PATH (no package index for Python has it), what needs it is skipped.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from deploy.kubernetes.__main__ import CHART, RENDERED, RENDERINGS, checked_in, digest, render
from tests.deploy.kubernetes.rendered import parsed, pod

needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not on the PATH")


@pytest.mark.parametrize("name", RENDERINGS)
def test_a_change_of_the_chart_was_rendered(name: str) -> None:
    first, _, _ = (RENDERED / f"{name}.yaml").read_text("utf-8").partition("\n")
    assert first.endswith(digest()), "run `python -m deploy.kubernetes`"


@needs_helm
@pytest.mark.parametrize("name", RENDERINGS)
def test_what_is_checked_in_is_what_helm_makes(name: str) -> None:
    assert (RENDERED / f"{name}.yaml").read_text("utf-8") == checked_in(name)


@needs_helm
def test_lint() -> None:
    command = ["helm", "lint", "--strict", CHART]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "kafka.nothing=1"], "nothing"),
        (["--set", "terminationGracePeriodSeconds=30"], "at least 55"),
        (["--set", "stages.fusion.autoscaling.minReplicas=0"], "the join has to run"),
        (["--set", "env.DENSEFUSION_CAPTION__API_KEY=x"], "API_KEY"),
        (["--set", "stages.ocr.autoscaling.scaleUp.pods=0"], "pods"),
        (["--set", "stages.ocr.kind=DaemonSet"], "kind"),
        (["--set", "stages.fetch.keysSecret.accessKey=user"], "name"),
        (["--set", "stages.fetch.keysSecret.password=x"], "password"),
    ],
)
def test_wrong_values_are_refused(options: list[str], says: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as told:
        render(options)
    assert says in told.value.stderr


@needs_helm
def test_rules_and_dashboards_come_along() -> None:
    found = parsed(render([]))
    rules = {m["metadata"]["name"]: m["spec"] for m in found if m["kind"] == "PrometheusRule"}
    for part in ("recording", "alerts"):
        source = CHART / "files" / "rules" / f"{part}.yaml"
        assert rules[f"densefusion-{part}"] == yaml.safe_load(source.read_text("utf-8"))
    boards = [m for m in found if m["metadata"]["name"].startswith("densefusion-dashboard-")]
    assert {next(iter(m["data"])) for m in boards} == {
        file.name for file in (CHART / "files" / "dashboards").glob("*.json")
    }
    for board in boards:
        ((file, text),) = board["data"].items()
        source = CHART / "files" / "dashboards" / file
        assert text.strip() == source.read_text("utf-8").strip()


@needs_helm
def test_replicas_are_capped_at_the_partitions() -> None:
    scaled = parsed(render(["--set", "kafka.partitions=3"]))
    most = [m["spec"]["maxReplicaCount"] for m in scaled if m["kind"] == "ScaledObject"]
    assert most and max(most) == 3
    off = ["--set", "kafka.partitions=3,defaults.replicas=9,defaults.autoscaling.enabled=false"]
    fixed = [m["spec"]["replicas"] for m in parsed(render(off)) if m["kind"] == "StatefulSet"]
    assert set(fixed) == {3}


@needs_helm
@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        ("minReplicas=1,lagThreshold=20", "64"),
        ("minReplicas=3,lagThreshold=20", "22"),  # 64 markers are what three have, and not four
        ("minReplicas=3,lagThreshold=25", "25"),
        ("minReplicas=0,lagThreshold=20", "64"),
    ],
)
def test_markers_alone_ask_for_no_more_than_the_fewest(options: str, threshold: str) -> None:
    given = ",".join(f"stages.ocr.autoscaling.{each}" for each in options.split(","))
    (spec,) = [m["spec"] for m in parsed(render(["--set", given])) if m["kind"] == "ScaledObject"
               and m["metadata"]["name"] == "densefusion-ocr"]  # fmt: skip
    assert spec["triggers"][0]["metadata"]["lagThreshold"] == threshold


@needs_helm
def test_the_names_of_a_stage_s_keys() -> None:
    """Those that it does not give are the ones of all."""
    given = "store.keysSecret.accessKey=user,stages.ocr.keysSecret.name=own"
    found = [m for m in parsed(render(["--set", given])) if m["kind"] == "StatefulSet"]
    (ocr,) = [m for m in found if m["metadata"]["name"] == "densefusion-ocr"]
    (secret,) = [v["secret"] for v in pod(ocr)["volumes"] if v["name"] == "store"]
    assert secret["secretName"] == "own"
    assert [each["key"] for each in secret["items"]] == ["user", "secret-key"]


@needs_helm
def test_a_stage_that_sleeps_wakes_hourly() -> None:
    """Records fewer than the markers cannot be told from them, and would wait for ever."""
    found = parsed(render(["--set", "stages.ocr.autoscaling.minReplicas=0"]))
    (spec,) = [m["spec"] for m in found if m["metadata"]["name"] == "densefusion-ocr"
               and m["kind"] == "ScaledObject"]  # fmt: skip
    assert [each["type"] for each in spec["triggers"]] == ["kafka", "cron"]


@needs_helm
def test_a_deployment_is_no_static_member() -> None:
    found = parsed(render(["--set", "stages.fetch.kind=Deployment"]))
    (deployment,) = [m for m in found if m["kind"] == "Deployment"]
    (worker,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in worker["env"]}
    assert variables["DENSEFUSION_KAFKA__STATIC_MEMBERSHIP"] == "false"
    assert "serviceName" not in deployment["spec"]


@needs_helm
def test_captions_reach_their_server_alone() -> None:
    found = parsed(
        render(
            [
                "--set",
                "captions.baseUrl=http://vllm:8000/v1,captions.model=m,captions.apiKeySecret.name=k",
                "--set-json",
                'networkPolicy.captions.peers=[{"podSelector":{"matchLabels":{"app":"vllm"}}}]',
            ]
        )
    )
    (policy,) = [m["spec"] for m in found if m["metadata"]["name"] == "densefusion-captions"]
    assert policy["podSelector"]["matchLabels"]["densefusion.io/stage"] == "fusion"
    asked = [
        m["metadata"]["labels"]["densefusion.io/stage"]
        for m in found
        if m["kind"] == "StatefulSet"
        and "DENSEFUSION_CAPTION__API_KEY_FILE" in str(m)
        and "/run/secrets/caption'" in str(m)
    ]
    assert asked == ["fusion"]
