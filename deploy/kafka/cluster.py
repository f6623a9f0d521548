"""A cluster of Apache Kafka brokers in KRaft mode on loopback, each a broker and a controller.

For tests on the real thing, faults included, and for a user without containers. Small: three
brokers take some 1 GB of memory and start in about ten seconds on two cores.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from densefusion.errors import SettingsError
from densefusion.processes import without_foreign
from densefusion.servers import Server, StartFailed, free_ports
from deploy.kafka.jars import jars
from deploy.kafka.properties import JVM, LOGGING, PROPERTIES

if TYPE_CHECKING:
    from deploy.kafka.secure import Secured  # needs packages that nothing else here needs

_READY_SECONDS = 90.0
_STOP_SECONDS = 10.0
_TRIES = 3  # a free port can be taken before the broker listens on it


def available() -> str | None:
    """Why there can be no cluster here, or None. Fetches the jars where they are missing."""
    try:
        jars()
    except SettingsError as error:
        return str(error)
    return None


class KafkaCluster:
    """Brokers 0, 1, 2..., as a context manager; `kill`, `freeze`, `thaw` and `restart` take them
    away and bring them back. Replication is 3 and `min.insync.replicas` 2, as far as there are
    brokers: with three, any one may die and nothing stops.

    On Linux the brokers end with the thread that started them: call `start` and `restart` from
    one that stays, such as the main one.

    Args:
        data_dir: holds the topics and, in ``logs``, what the brokers say. A cluster that is started
            again on the same folder has its topics again, on other ports.
        brokers: how many.
        properties: further properties of the brokers, such as those of other listeners; they win.
        secured: TLS, users and ACLs; without it everything is open to this machine.

    Attributes:
        bootstrap: host:port of each broker, once started; where it is secured, those for SASL.
        mutual: those for mutual TLS, where it is secured.
        frozen: brokers that are frozen now.

    Raises:
        SettingsError: Java, Maven or the jars are missing.
        StartFailed: the brokers do not come up.
    """

    def __init__(
        self,
        data_dir: Path,
        brokers: int = 3,
        *,
        properties: Mapping[str, str] | None = None,
        secured: Secured | None = None,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._secured = secured
        self._count = brokers
        self._properties = dict(properties or {})
        self._servers: dict[int, Server] = {}  # those that run
        self.frozen: set[int] = set()
        self._starts = [0] * brokers
        self.bootstrap = self.mutual = ""

    @property
    def replication(self) -> int:
        """Replication factor for topics on this cluster."""
        return min(3, self._count)

    def start(self) -> None:
        """Returns once every broker is up."""
        if self._servers:
            return
        self._classpath = f"{jars()}/*"
        (self._data_dir / "logs").mkdir(parents=True, exist_ok=True)
        for attempt in range(_TRIES):
            try:
                self._configure()
                for node in range(self._count):
                    self._start(node)
                self.wait_ready()
                return
            except StartFailed:
                self.stop()
                if attempt == _TRIES - 1:
                    raise
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Stop what runs. Safe to call again."""
        for node in list(self.frozen):
            self.thaw(node)
        for server in self._servers.values():  # all at once: the last ones have no quorum to ask
            _signal(server, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < until and not all(s.death() for s in self._servers.values()):
            time.sleep(0.05)
        for server in self._servers.values():
            _signal(server, signal.SIGKILL)
            server.stop()
        self._servers = {}

    def __enter__(self) -> KafkaCluster:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    # -- faults --------------------------------------------------------------------------------

    def kill(self, node: int) -> None:
        """SIGKILL, and gone when this returns."""
        server = self._servers.pop(node)
        _signal(server, signal.SIGKILL)
        server.stop()
        self.frozen.discard(node)

    def freeze(self, node: int) -> None:
        """SIGSTOP: its connections stay open, and nothing answers on them."""
        _signal(self._servers[node], signal.SIGSTOP)
        self.frozen.add(node)

    def thaw(self, node: int) -> None:
        _signal(self._servers[node], signal.SIGCONT)
        self.frozen.discard(node)

    def restart(self, node: int) -> None:
        """Start a broker again, on its port and its data; stops it first where it runs.

        Returns at once: `wait_ready` says when it is in sync.
        """
        if node in self._servers:
            if node in self.frozen:
                self.thaw(node)
            self._servers.pop(node).stop()
        self._start(node)

    def pids(self) -> dict[int, int]:
        """Process ids of the brokers that run."""
        return {node: server.pid for node, server in self._servers.items()}

    def deaths(self) -> dict[int, str]:
        """Brokers that ended by themselves, and the end of their logs."""
        found = {node: server.death() for node, server in self._servers.items()}
        return {node: death for node, death in found.items() if death is not None}

    # -- waiting -------------------------------------------------------------------------------

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until all that run and are not frozen have every one of their replicas in sync.

        Raises:
            StartFailed: one has ended, or they are not ready in time.
        """
        # "log_level" 0: a refused connection is nothing to speak of while they start.
        options = self._secured.options() if self._secured is not None else {}
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, **options})
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for death in self.deaths().values():
                raise StartFailed(death)
            with contextlib.suppress(KafkaException):
                if self._in_sync(client.list_topics(timeout=2)):
                    return
            time.sleep(0.1)
        raise StartFailed(
            f"the brokers are not ready after {seconds:.0f} s; see {self._data_dir / 'logs'}"
        )

    def _in_sync(self, found: ClusterMetadata) -> bool:
        up = set(self._servers) - self.frozen
        # The others miss one that was killed only after its session has timed out; but its port is
        # closed until it has registered again, and from then on they know it.
        if not all(map(self._listens, up)):
            return False
        partitions = [each for topic in found.topics.values() for each in topic.partitions.values()]
        return up <= set(found.brokers) and all(
            up & set(each.replicas) <= set(each.isrs) and each.leader in up for each in partitions
        )

    def _listens(self, node: int) -> bool:
        host, port = self.bootstrap.split(",")[node].split(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return True
        return False

    # -- starting ------------------------------------------------------------------------------

    def _configure(self) -> None:
        ports = free_ports(3 * self._count)
        brokers, controllers, mutual = (ports[n::3] for n in range(3))
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in brokers)
        if self._secured is not None:
            self._secured.prepare()
            self.mutual = ",".join(f"127.0.0.1:{port}" for port in mutual)
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(controllers))
        replicas, in_sync = str(self.replication), str(max(1, self.replication - 1))
        for node in range(self._count):
            listener = f"PLAINTEXT://127.0.0.1:{brokers[node]}"
            properties = {
                **PROPERTIES,
                "node.id": str(node),
                "controller.quorum.voters": voters,
                "listeners": f"{listener},CONTROLLER://127.0.0.1:{controllers[node]}",
                "advertised.listeners": listener,
                "log.dirs": str(self._data_dir / f"node-{node}"),
                "default.replication.factor": replicas,
                "min.insync.replicas": in_sync,
                "offsets.topic.replication.factor": replicas,
                "transaction.state.log.replication.factor": replicas,
                "transaction.state.log.min.isr": in_sync,
            }
            if self._secured is not None:
                properties |= self._secured.properties(
                    sasl=brokers[node], mutual=mutual[node], controller=controllers[node]
                )
            properties |= self._properties
            lines = [f"{name}={value}\n" for name, value in properties.items()]
            self._file(node).write_text("".join(lines), "utf-8")
        self._format()

    def _format(self) -> None:
        """Give the nodes' folders an identity; those that have one keep it."""
        file = self._data_dir / "cluster-id"
        if not file.exists():
            file.write_text(urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), "utf-8")
        tool = [*self._java("kafka.tools.StorageTool"), "format", "--ignore-formatted"]
        if self._secured is not None:
            tool += self._secured.format_arguments()
        # With "=", since an id may begin with a dash.
        tool += [f"--cluster-id={file.read_text('utf-8').strip()}", "--config"]
        running = [
            subprocess.Popen(
                [*tool, str(self._file(node))],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True,
            )
            for node in range(self._count)
        ]  # fmt: skip
        said = [process.communicate()[0] for process in running]
        for process, output in zip(running, said, strict=True):
            if process.returncode:
                raise StartFailed(f"the brokers' folders cannot be formatted:\n{output[-2000:]}")

    def _start(self, node: int) -> None:
        self._starts[node] += 1
        # A log for each start: that of a broker that was killed is what one wants to read.
        log_file = self._data_dir / "logs" / f"node-{node}.{self._starts[node]}.log"
        command = [*without_foreign(()), *self._java("kafka.Kafka"), str(self._file(node))]
        self._servers[node] = Server(f"broker {node}", command, {}, log_file)

    def _java(self, main: str) -> list[str]:
        logging = [f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in LOGGING.items()]
        return ["java", *JVM, *logging, "-cp", self._classpath, main]

    def _file(self, node: int) -> Path:
        return self._data_dir / f"node-{node}.properties"


def _signal(server: Server, number: signal.Signals) -> None:
    if server.death() is None:  # else its id may be another's by now
        os.kill(server.pid, number)
