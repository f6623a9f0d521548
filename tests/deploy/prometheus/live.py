"""A real run that a real Prometheus watches: the embedded stack, one worker for all stages."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from deploy.grafana.draw.source import Prometheus, QueryFailed
from tests.deploy.prometheus.programs import programs

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
SECONDS = 50.0
PICTURES = 10  # small enough for a slow machine


@contextmanager
def watched_run(folder: Path) -> Iterator[Prometheus]:
    """Yields once pictures of `examples/` have their captions, and the dataset has begun."""
    from consumers.roster import stage_names
    from densefusion.cli.pipeline import pipeline
    from densefusion.cli.produce import publish_all
    from densefusion.settings import Settings, environment
    from producers.sources import open_source

    tools = programs()
    with ExitStack() as stack:
        host = stack.enter_context(_photographs())
        settings = Settings(
            data_dir=folder / "data",
            fetch={"allow_hosts": [host], "attempts": 1},
            experts={"ocr_max_side": 640},
        )
        none = dict.fromkeys(stage_names(settings), 0)
        running = stack.enter_context(pipeline(settings, none, durable=False))
        port = _free_port()
        command = [
            sys.executable,
            "-m",
            "densefusion",
            "worker",
            *none,
            "--metrics-port",
            str(port),
        ]
        ours = {**_environment(), **environment(running.settings)}
        log = stack.enter_context((folder / "worker.log").open("wb"))
        worker = subprocess.Popen(command, cwd=ROOT, env=ours, stdout=log, stderr=log)
        stack.callback(_stop, worker)
        server = stack.enter_context(_prometheus(tools, folder, f"127.0.0.1:{port}"))
        names = sorted(file.name for file in (ROOT / "examples").glob("*.jpg"))
        pictures = [f"http://{host}/{name}" for name in names[: PICTURES + 2]]
        refused = [f"http://{host}/none.jpg", f"http://{host}/LICENSES.md"]

        def feed(urls: list[str]) -> None:
            listed = folder / "urls.txt"
            listed.write_text("\n".join(urls))
            with contextlib.closing(open_source(str(listed))) as source:
                publish_all(running.settings, [source], None)

        def until(expr: str) -> None:
            _wait(server, expr, worker, folder / "worker.log")

        # In two parts: a counter's first value is no increase.
        feed(pictures[:1] + refused)
        until("sum(densefusion_captions_total) >= 1")
        feed([url + "?again" for url in refused] + pictures[1:])
        until(f"sum(densefusion_captions_total) >= {PICTURES}")
        until('densefusion_age_seconds_count{stage="dataset"} > 0')
        until("job:densefusion_captions:rate5m > 0")
        server.end = time.time()
        server.start = server.end - SECONDS
        yield server


@contextmanager
def _prometheus(tools: Path, folder: Path, target: str) -> Iterator[Prometheus]:
    """The configuration that is checked in, at a quicker pace."""
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    rules = folder / "rules"
    rules.mkdir()
    for file in (PROMETHEUS / "rules").glob("*.yaml"):
        (rules / file.name).write_text(file.read_text().replace("interval: 15s", "interval: 1s"))
    targets = folder / "targets.json"
    targets.write_text(json.dumps([{"targets": [target]}]))
    config["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(targets)]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = _free_port()
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [
                tools / "prometheus", "--config.file=prometheus.yml",
                "--storage.tsdb.path=tsdb", f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield Prometheus(f"http://127.0.0.1:{port}", 0, 0, 1)
        finally:
            _stop(server)


@contextmanager
def _photographs() -> Iterator[str]:
    """Serves `examples/`; its host:port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(ROOT / "examples"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def _wait(server: Prometheus, expr: str, worker: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and worker.poll() is None:
        server.end = time.time()
        try:
            if server.now(expr):
                return
        except QueryFailed:
            pass  # it is starting
        time.sleep(0.5)
    raise AssertionError(f"never came true: {expr}\n{log.read_text()[-1500:]}")


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("DENSEFUSION_")}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(12)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
