"""Where Kafka and the object store are: as set, or the embedded stack that runs beside us."""

from __future__ import annotations

import json
import os
from pathlib import Path

from densefusion.errors import SettingsError
from densefusion.logs import hide
from densefusion.redact import secrets
from densefusion.settings import Settings
from densefusion.stack import EmbeddedStack

_FILE = "stack.json"


def is_external(settings: Settings) -> bool:
    """Whether the user named servers of their own.

    Raises:
        SettingsError: Kafka was named and the object store was not, or the other way round.
    """
    kafka, store = settings.kafka.bootstrap is not None, settings.store.endpoint is not None
    if kafka != store:
        raise SettingsError(
            "set both DENSEFUSION_KAFKA__BOOTSTRAP and DENSEFUSION_STORE__ENDPOINT, or neither "
            "for the embedded stack"
        )
    return kafka


def announce(settings: Settings, stack: EmbeddedStack) -> None:
    """Let other commands with the same data folder find the stack."""
    file = settings.data_dir / _FILE
    endpoints = {"pid": os.getpid(), "kafka": stack.kafka, "s3": stack.s3}
    file.write_text(json.dumps(endpoints), "utf-8")


def withdraw(settings: Settings) -> None:
    (settings.data_dir / _FILE).unlink(missing_ok=True)


def connected(settings: Settings) -> Settings:
    """The settings, pointing at servers that are there.

    Raises:
        SettingsError: none are set, and no embedded stack runs on the data folder.
    """
    if is_external(settings):
        return settings
    file = settings.data_dir / _FILE
    try:
        endpoints = json.loads(file.read_text("utf-8"))
        os.kill(int(endpoints["pid"]), 0)
        credentials = json.loads((settings.data_dir / "credentials.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"no servers are set, and no embedded stack runs on {Path(settings.data_dir)}: start "
            "one with `densefusion up`, or set DENSEFUSION_KAFKA__BOOTSTRAP and "
            "DENSEFUSION_STORE__ENDPOINT"
        ) from error
    kafka = settings.kafka.model_copy(update={"bootstrap": endpoints["kafka"]})
    store = settings.store.model_copy(update={"endpoint": endpoints["s3"]} | _keys(credentials))
    worker = settings.worker.model_copy(update={"offset_transactions": False})
    settings = settings.model_copy(update={"kafka": kafka, "store": store, "worker": worker})
    hide(secrets(settings))
    return settings


def _keys(credentials: dict[str, str]) -> dict[str, object]:
    from pydantic import SecretStr

    return {
        "access_key": SecretStr(credentials["access_key"]),
        "secret_key": SecretStr(credentials["secret_key"]),
    }
