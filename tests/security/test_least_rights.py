"""The whole stream, each stage as a user of its own: TLS everywhere, and no right too many."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consumers.roster import make_topics
from densefusion.dataset import shards
from densefusion.processes import tail
from densefusion.settings import Experts, Fetch, Settings, environment
from densefusion.store import ObjectStore
from densefusion.topics import all_topics
from deploy.kafka import acls
from tests.security.conftest import Brokers
from tests.security.s3_server import SecureS3

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
EXPERT = "detection"
PREFIX = "whole."


def started(settings: Settings, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "densefusion", *arguments],
            cwd=ROOT, env=os.environ | environment(settings), stdout=output, stderr=output,
        )  # fmt: skip


def test_every_stage_gets_by_with_its_own_rights(
    brokers: Brokers, s3: SecureS3, tmp_path: Path
) -> None:
    base = Settings(
        experts=Experts(roster=[EXPERT]), fetch=Fetch(allow_hosts=["127.0.0.1"], min_short_edge=64)
    )

    def of(user: str, policy: str | None) -> Settings:
        kafka = brokers.password(user).model_copy(update={"prefix": PREFIX})
        store = s3.settings() if policy is None else s3.user(policy)
        return base.model_copy(update={"kafka": kafka, "store": store})

    follows = {EXPERT: "images"}
    for name, rights in acls.commands(follows).items():
        brokers.grant(name.replace(" ", "-"), rights, PREFIX)
    assert len(make_topics(of("topics-create", None)).create(all_topics([EXPERT]))) == 7
    policies = {EXPERT: "expert"}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    store = ObjectStore(s3.settings())
    try:
        for stage, rights in acls.stages(follows).items():
            brokers.grant(f"stage-{stage}", rights, PREFIX)
            ours = of(f"stage-{stage}", policies.get(stage, stage))
            processes[stage] = started(ours, tmp_path / f"{stage}.log", "worker", stage)
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        for name in ("cat", "clock", "coffee"):
            shutil.copy(ROOT / f"examples/{name}.jpg", pictures)
        processes["produce"] = started(
            of("produce", "reader"), tmp_path / "produce.log", "produce", str(pictures)
        )
        wanted = 3
        until = time.monotonic() + 150
        captions = 0
        while captions < wanted:
            logs = "".join(f"\n--- {name}\n{tail(tmp_path / f'{name}.log')}" for name in processes)
            assert time.monotonic() < until, f"{captions} of {wanted} captions{logs}"
            assert all(each.poll() is None for each in processes.values()), logs
            time.sleep(0.5)
            captions = sum(table.num_rows for table in shards(store, "captions"))
        status = started(of("status", None), tmp_path / "status.log", "status", "--json")
        assert status.wait(60) == 0, (tmp_path / "status.log").read_text("utf-8")
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(30) for name, process in processes.items()}
        assert set(codes.values()) == {0}, codes
        said = "".join((tmp_path / f"{name}.log").read_text("utf-8") for name in processes)
        assert "uthorization failed" not in said and "AccessDenied" not in said, said
    finally:
        store.close()
        for process in processes.values():
            process.kill()
            process.wait(10)
