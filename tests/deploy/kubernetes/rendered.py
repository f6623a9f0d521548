"""The chart's manifests as they are checked in, and what the tests ask of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from deploy.kubernetes.__main__ import CHART, HERE, RENDERED

Manifest = dict[str, Any]


@cache
def manifests(name: str) -> tuple[Manifest, ...]:
    """All of one rendering ("cpu", "gpu")."""
    return parsed((RENDERED / f"{name}.yaml").read_text("utf-8"))


def parsed(text: str) -> tuple[Manifest, ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(each for each in yaml.load_all(text, Loader=loader) if each)


def of_kind(name: str, *kinds: str) -> dict[str, Manifest]:
    """Those of these kinds, by name."""
    return {m["metadata"]["name"]: m for m in manifests(name) if m["kind"] in kinds}


def workloads(name: str) -> dict[str, Manifest]:
    """Those that run workers, by stage."""
    found = of_kind(name, "StatefulSet", "Deployment").values()
    return {each["metadata"]["labels"]["densefusion.io/stage"]: each for each in found}


def scalers(name: str) -> dict[str, Manifest]:
    """What scales a stage, by stage."""
    found = of_kind(name, "ScaledObject").values()
    return {each["metadata"]["labels"]["densefusion.io/stage"]: each for each in found}


def pod(workload: Manifest) -> Manifest:
    return dict(workload["spec"]["template"]["spec"])


def containers(workload: Manifest) -> list[Manifest]:
    return [*pod(workload).get("initContainers", []), *pod(workload)["containers"]]


def values() -> Manifest:
    return dict(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))


def strimzi(file: str) -> tuple[Manifest, ...]:
    return parsed((HERE / "strimzi" / file).read_text("utf-8"))
