"""The whole stream, each stage as a user of its own: TLS everywhere, and no right too many."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from PIL import Image

from consumers.roster import log_id, make_topics
from densefusion import clients
from densefusion.dataset import shards
from densefusion.processes import tail
from densefusion.settings import Experts, Fetch, Kafka, Settings, environment
from densefusion.store import ObjectStore
from densefusion.topics import (
    CAPTIONS,
    DEAD_LETTERS,
    FETCHED,
    IMAGES,
    REJECTS,
    URLS,
    Topics,
    all_topics,
)
from deploy.kafka import acls
from deploy.kafka.secure import ADMIN
from tests.faults.stream import Stream
from tests.security.conftest import Brokers
from tests.security.s3_server import SecureS3

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
EXPERT = "detection"
PREFIX = "whole."
SPOILT = (URLS, FETCHED, IMAGES, CAPTIONS, REJECTS)


def started(settings: Settings, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "densefusion", *arguments],
            cwd=ROOT, env=os.environ | environment(settings), stdout=output, stderr=output,
        )  # fmt: skip


def spoil(kafka: Kafka, store: ObjectStore) -> str:
    """Put what is no record on every topic that `replay` puts back to. The key of the claim that
    curate would have left behind, had it died over the one of ``fetched``."""
    image = "0" * 64
    placed: dict[str, Message] = {}
    producer = clients.producer(kafka)
    for topic in SPOILT:
        producer.produce(
            PREFIX + topic, b"no record", image,
            on_delivery=lambda _, message, topic=topic: placed.update({topic: message}),
        )  # fmt: skip
    assert producer.flush(20) == 0
    found = Topics(kafka, clients.common(kafka)).describe([FETCHED])[FETCHED]
    place = {"partition": placed[FETCHED].partition(), "offset": placed[FETCHED].offset()}
    claim = f"claims/00/00/{image}"
    store.write(claim, json.dumps({"log": log_id(found), **place}).encode())
    return claim


def put_back(settings: Settings, *arguments: str) -> dict[str, Any]:
    """What ``densefusion replay`` says."""
    done = subprocess.run(
        [sys.executable, "-m", "densefusion", "replay", *arguments, "--json"],
        cwd=ROOT, env=os.environ | environment(settings), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


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
        Image.new("RGB", (8, 8)).save(pictures / "tiny.png")  # a reject
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
        claim = spoil(of(ADMIN, None).kafka, store)
        assert status.wait(60) == 0, (tmp_path / "status.log").read_text("utf-8")
        # One of each topic, and the expert's beside fusion's, which has no way back.
        Stream(of(ADMIN, None).kafka).read(DEAD_LETTERS, at_least=len(SPOILT) + 1)
        told = put_back(of("replay", "operator"), "dead-letters")
        assert (told["put_back"], told["no_way"]) == (len(SPOILT), 1), told
        assert claim not in store.keys("claims/")
        told = put_back(of("replay", "operator"), "rejects", "--reason", "*")
        assert (told["put_back"], told["no_way"]) == (1, 2), told
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
