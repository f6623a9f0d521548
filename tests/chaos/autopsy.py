"""Why a run is stuck: taken while its workers still run, since their logs go with the folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from densefusion import clients
from densefusion.processes import tail
from densefusion.settings import Settings
from densefusion.topics import Topic
from tests.chaos.supervisor import ROOT

_SECONDS = 20.0
_LINES = 12  # of each worker's log


def autopsy(
    settings: Settings, found: Iterable[Topic], environment: Mapping[str, str], logs: Path
) -> str:
    """Lag by stage, transactions that are open, and the last words of each worker."""
    return "\n".join(
        [
            _status(environment),
            *_open_transactions(settings, found),
            *(f"-- {log.name}\n{tail(log, _LINES)}" for log in sorted(logs.glob("*.log"))),
        ]
    )


def _status(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "densefusion", "status", "--json"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no status within {_SECONDS:.0f} s"
    return done.stdout or done.stderr


def _open_transactions(settings: Settings, found: Iterable[Topic]) -> list[str]:
    """The partitions whose committed records end before their records do (KIP-98's LSO)."""
    admin = AdminClient(clients.common(settings.kafka))
    wanted = {
        TopicPartition(topic.name, number): OffsetSpec.latest()
        for topic in found
        for number in range(topic.partitions)
    }
    ends = []
    try:
        for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
            answers = admin.list_offsets(wanted, isolation_level=level, request_timeout=_SECONDS)
            ends.append({(at.topic, at.partition): answers[at].result().offset for at in answers})
    except KafkaException as error:
        return [f"no ends of partitions: {error}"]
    committed, written = ends
    return [
        f"open transaction on {name}/{partition}: committed up to {committed[name, partition]}, "
        f"written up to {end}"
        for (name, partition), end in sorted(written.items())
        if committed[name, partition] < end
    ]
