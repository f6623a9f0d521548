"""The compose files: the specification, our policies, and commands that the command line knows."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from deploy.compose.make_secrets import ROLES, make
from tests.deploy.commands import environment_fields, parse

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy" / "compose"
FILES = ["compose.yaml", "captions.yaml"]
STAGES = {"fetch", "curate", "detection", "tagging", "ocr", "knowledge", "fusion", "dataset"}
EXPERTS = {"detection", "tagging", "ocr", "knowledge"}
JOBS = {"bucket", "topics", "engines", "cli"}
# Its own words why, in the file.
WRITABLE = {"schema-registry"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8")))


@pytest.fixture(scope="module")
def services(stack: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(stack["services"])


def ours(services: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {n: s for n, s in services.items() if s["image"].startswith("densefusion:")}


@pytest.mark.parametrize("file", FILES)
def test_the_specification(file: str) -> None:
    loaded = yaml.safe_load((COMPOSE / file).read_text("utf-8"))
    plain = {name: part for name, part in loaded.items() if not name.startswith("x-")}
    # Docker's own word for the host's address, which the package does not know.
    text = json.dumps(plain).replace("host-gateway", "127.0.0.1")
    composed = PyCompose.from_json(text)
    if file == "compose.yaml":  # the other is half a file: its networks are in this one
        composed.validate()


def test_a_word_that_compose_does_not_know_is_refused() -> None:
    with pytest.raises(Exception, match="volmes"):
        PyCompose.from_json('{"services": {"a": {"image": "x:1", "volmes": []}}}').validate()


def test_hardened(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is (name not in WRITABLE), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service and "docker.sock" not in json.dumps(service), name
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= limits.keys(), name
        assert service["logging"]["options"]["max-size"], name


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d+\.\d+\.\d+|RELEASE\.\d{4}", tag), (name, tag)


def test_only_loopback_is_published(services: dict[str, dict[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_only_fetch_has_a_way_out(stack: dict[str, Any]) -> None:
    assert stack["networks"]["flow"]["internal"] is True
    out = {n for n, s in stack["services"].items() if "internet" in s["networks"]}
    assert out == {"fetch"}
    for name, service in ours(stack["services"]).items():
        assert name == "fetch" or set(service["networks"]) == {"flow"}, name


def test_secrets_are_files(stack: dict[str, Any]) -> None:
    assert all(set(secret) == {"file"} for secret in stack["secrets"].values())
    for name, service in stack["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY|ROOT_USER", variable):
                assert re.search("_FILE$", variable) and value.startswith("/run/secrets/"), name
                assert value.removeprefix("/run/secrets/") in mounted(service), (name, variable)
        assert set(mounted(service).values()) <= stack["secrets"].keys(), name


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """A service's secrets: which lies under which name."""
    given = service.get("secrets", [])
    return dict((s, s) if isinstance(s, str) else (s["target"], s["source"]) for s in given)


def test_each_service_has_its_own_keys_of_the_store(services: dict[str, dict[str, Any]]) -> None:
    roles = {stage: stage for stage in STAGES - EXPERTS} | dict.fromkeys(EXPERTS, "expert")
    for name, service in ours(services).items():
        if service["command"][0] == "worker":
            role = roles[service["command"][1]]
        else:
            role = {"cli": "operator"}.get(name, "")  # the other jobs do not use the store
        keys = {f"store_{part}_key": f"{role}_{part}_key" for part in ("access", "secret")}
        assert mounted(service) == (keys if role else {}), name
        assert bool(role) == ("DENSEFUSION_STORE__ACCESS_KEY_FILE" in service["environment"]), name


def test_servers_and_workers_are_watched(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name in JOBS:
            assert service["restart"] == "no", name
            continue
        assert service["restart"] == "unless-stopped", name
        # Of a worker, the image's own check is taken.
        assert "test" in service.get("healthcheck", {}) or name in ours(services), name
        assert not service.get("healthcheck", {}).get("disable"), name


def test_who_waits_for_whom(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            condition = wait["condition"]
            job = other in JOBS
            assert condition == ("service_completed_successfully" if job else "service_healthy"), (
                name,
                other,
            )
            # Whatever is waited for has to be there in every profile in which the other is.
            profiles = set(services[other].get("profiles", []))
            assert not profiles or set(service["profiles"]) <= profiles, (name, other)
    for stage in STAGES:
        assert {"topics", "bucket", "schema-registry"} <= services[stage]["depends_on"].keys()


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_profile_has_every_stage_once(
    services: dict[str, dict[str, Any]], profile: str
) -> None:
    commands = [s["command"] for s in ours(services).values() if profile in s["profiles"]]
    stages = [command[1] for command in commands if command[0] == "worker"]
    assert sorted(stages) == sorted(STAGES)


def test_commands_and_settings_exist(services: dict[str, dict[str, Any]]) -> None:
    fields = environment_fields()
    assert ours(services)
    for name, service in ours(services).items():
        parse(service["command"])
        for variable in service["environment"]:
            assert variable in fields, (name, variable)


def test_a_worker_may_finish_its_batch(services: dict[str, dict[str, Any]]) -> None:
    from densefusion.clients import TRANSACTION_SECONDS
    from densefusion.settings import Worker

    settings = Worker()  # type: ignore[call-arg]
    least = settings.shutdown_grace + settings.revoke_grace + TRANSACTION_SECONDS
    for name in STAGES:
        assert int(services[name]["stop_grace_period"].removesuffix("s")) >= least


def test_what_is_mounted_is_there(services: dict[str, dict[str, Any]]) -> None:
    mounts = [each for s in services.values() for each in s.get("volumes", [])]
    folders = [each.split(":")[0] for each in mounts if each.startswith(".")]
    assert folders
    for folder in folders:
        assert (COMPOSE / folder).exists(), folder
    assert all(each.endswith(":ro") for each in mounts if each.startswith("."))


def test_prometheus_finds_every_stage() -> None:
    config = yaml.safe_load((COMPOSE / "prometheus.yml").read_text("utf-8"))
    (found,) = config["scrape_configs"][0]["dns_sd_configs"]
    assert set(found["names"]) == STAGES and found["port"] == 9100


def test_the_bucket_job_makes_a_user_for_each_role(services: dict[str, dict[str, Any]]) -> None:
    script = (COMPOSE / "bucket.sh").read_text("utf-8")
    (roles,) = re.findall(r"^for role in (.+); do$", script, re.MULTILINE)
    assert tuple(roles.split()) == ROLES
    for role in ROLES:
        assert (ROOT / f"deploy/s3/{role}-policy.json").exists()
        assert {f"{role}_access_key", f"{role}_secret_key"} <= mounted(services["bucket"]).keys()


def test_captions_that_were_incomplete_expire() -> None:
    from consumers.incomplete import PREFIX

    rules = json.loads((ROOT / "deploy" / "s3" / "lifecycle.json").read_text("utf-8"))["Rules"]
    prefixes = [rule["Filter"]["Prefix"] for rule in rules if rule["Status"] == "Enabled"]
    # Nothing else may expire: images and dataset are kept.
    assert prefixes == [f"{PREFIX}/"]


def test_secrets_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    stack = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
    named = {Path(secret["file"]).name for secret in stack["secrets"].values()}
    assert set(make(folder)) == named
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {file.name: file.read_text() for file in folder.iterdir()}
    assert len(set(before.values())) == len(named)
    for name, value in before.items():
        file = folder / name
        assert os.access(file, os.R_OK) and stat.S_IMODE(file.stat().st_mode) == 0o444
        assert 8 <= len(value) <= 40 and value == value.strip()
    for user in ("minio_root_user", *(f"{role}_access_key" for role in ROLES)):
        assert 3 <= len(before[user]) <= 20
    assert make(folder) == []
    assert {file.name: file.read_text() for file in folder.iterdir()} == before
