"""The stream's surroundings in a run on real brokers: settings, topics, experts, environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from consumers.roster import make_topics
from densefusion import topics
from densefusion.errors import TopicError
from densefusion.settings import Settings, environment
from densefusion.topics import Topic
from deploy.kafka.cluster import KafkaCluster
from tests.chaos import pictures
from tests.chaos.object_store import ChaosStore
from tests.chaos.server import PictureServer
from tests.chaos.supervisor import ROOT

_KNOWN_SECONDS = 60.0


def install_experts(target: Path, *packages: Path) -> None:
    """Install the experts' packages into a folder of their own; from now on we find them too."""
    if not target.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
             "--no-build-isolation", "--target", target, *packages],
            check=True, timeout=120,
        )  # fmt: skip
    if str(target) not in sys.path:
        sys.path.insert(0, str(target))


def make_settings(
    cluster: KafkaCluster,
    store: ChaosStore,
    web: PictureServer,
    roster: Sequence[str],
    data_dir: Path,
    /,
    **groups: Mapping[str, Any],
) -> Settings:
    """Settings for workers on these servers.

    Args:
        groups: settings over these, by group: ``kafka={"partitions": 8}``.
    """
    settings = Settings(_env_file=None)
    ours: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": cluster.bootstrap, "replication": cluster.replication},
        "store": {
            "endpoint": store.endpoint, "bucket": store.bucket, "region": store.region,
            "secure": False, "access_key": SecretStr(store.access_key),
            "secret_key": SecretStr(store.secret_key),
        },
        "fetch": {
            "min_short_edge": pictures.MIN_SHORT_EDGE, "allow_hosts": [web.host], "backoff": 0.2,
            # The server may be slow on busy cores, the worker frozen: it is not to blame.
            "attempts": 8, "read_timeout": 60.0, "total_timeout": 120.0, "connect_timeout": 60.0,
        },
        "experts": {"roster": list(roster)},
        # No expert is dead for so long: no prior may be missing.
        "join": {"deadline": 900.0},
    }  # fmt: skip
    for name, values in groups.items():
        ours.setdefault(name, {}).update(values)
    updated = {
        name: getattr(settings, name).model_copy(update=values) for name, values in ours.items()
    }
    return settings.model_copy(update={**updated, "data_dir": data_dir})


def workers_environment(settings: Settings, packages: Path) -> dict[str, str]:
    """The whole environment of workers with these settings, that find the experts installed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}
    path = os.pathsep.join([str(packages), str(ROOT)])
    return {**inherited, **environment(settings), "PYTHONPATH": path}


def make_all_topics(settings: Settings) -> dict[str, Topic]:
    """Make them, and wait until the brokers know them. Raises TopicError."""
    client, wanted = make_topics(settings), topics.all_topics(settings.experts.roster)
    client.create(wanted)
    until = time.monotonic() + _KNOWN_SECONDS
    while True:  # a broker that is asked may not have heard of them yet
        try:
            return client.verify(wanted)
        except TopicError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
