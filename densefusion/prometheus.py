"""A Prometheus server beside the workers of this machine, if one is installed.

With the recording rules and alerts of ``deploy/prometheus/rules``, where the source tree is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import urllib3

from densefusion.servers import Server, StartFailed, free_ports

RULES = Path(__file__).parents[1] / "deploy" / "prometheus" / "rules"
_TRIES = 3  # a free port can be taken before the server listens on it
# As in deploy/prometheus/prometheus.yml.
_CONFIG = {
    "global": {"scrape_interval": "5s", "scrape_timeout": "4s", "evaluation_interval": "15s"}
}


class Prometheus:
    """Scrapes the workers of a file of targets, as a context manager.

    Attributes:
        url: of the server, once started.

    Args:
        folder: for its data, its configuration, and its log.
        targets: file of the workers' addresses; read again whenever it changes.
        program: path of the server.

    Raises:
        StartFailed: it does not come up.
    """

    def __init__(self, folder: Path, targets: Path, program: str) -> None:
        self._folder = folder.absolute()
        self._targets = targets.absolute()
        self._program = program
        self._server: Server | None = None
        self.url = ""

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server is not None else None

    def start(self) -> None:
        """The main thread should call it: the server ends with the thread that started it."""
        if self._server is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "prometheus.yml"
        # JSON is YAML; paths may hold anything.
        config.write_text(json.dumps(self._config(), indent=2), "utf-8")
        for attempt in range(_TRIES):
            (port,) = free_ports(1)
            self.url = f"http://127.0.0.1:{port}"
            command = [
                self._program, f"--config.file={config}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ]  # fmt: skip
            self._server = Server("Prometheus", command, {}, self._folder / "prometheus.log")
            try:
                self._server.wait_ready(self._ready)
                return
            except StartFailed:
                self.stop()
                if attempt == _TRIES - 1:
                    raise

    def stop(self) -> None:
        """Safe to call again."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Prometheus:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _config(self) -> dict[str, object]:
        files = {"files": [str(self._targets)], "refresh_interval": "5s"}
        scrape = [{"job_name": "densefusion", "file_sd_configs": [files]}]
        rules = [str(RULES / "*.yaml")] if RULES.is_dir() else []
        return {**_CONFIG, "rule_files": rules, "scrape_configs": scrape}

    def _ready(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.url}/-/ready", timeout=2.0, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200


def installed() -> str | None:
    """Path of the server's program, if there is one."""
    return shutil.which("prometheus")
