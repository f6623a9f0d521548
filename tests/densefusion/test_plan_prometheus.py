"""``plan --prometheus`` on a real Prometheus that scrapes a process with a worker's metrics."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from typer.testing import CliRunner, Result

from densefusion.cli.app import app
from densefusion.cli.plan import plan as _command  # noqa: F401 - registers it
from densefusion.servers import Server, free_ports
from tests.densefusion.spending_worker import CPU_MS, RECORDS, SECONDS_PER_URL
from tests.deploy.prometheus.programs import programs

ROOT = Path(__file__).parents[2]
PLAN = ["plan", "--images-per-day", "1e6", "--json"]
PATIENCE = 60.0  # seconds

pytestmark = pytest.mark.integration


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.densefusion.spending_worker"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def prometheus(folder: Path, program: Path) -> Iterator[str]:
    """Its URL; it scrapes what ``targets.json`` in its folder lists."""
    files = {"files": ["targets.json"], "refresh_interval": "1s"}
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [{"job_name": "stream", "file_sd_configs": [files]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        str(program), f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    server = Server("Prometheus", command, {}, folder / "prometheus.log")
    try:
        server.wait_ready(lambda: _answers(f"{url}/-/ready"))
        yield url
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=2.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def run(*options: str) -> Result:
    return CliRunner().invoke(app, [*PLAN, *options])


def until(url: str, expr: str) -> None:
    """Until an expression has a value other than 0."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = urllib3.request("GET", f"{url}/api/v1/query", fields={"query": expr}).json()
        if any(float(each["value"][1]) for each in answer["data"]["result"]):
            return
        time.sleep(0.1)
    raise AssertionError(f"never came true: {expr}")


def test_figures_are_measured_saved_and_used(tmp_path: Path) -> None:
    program = programs() / "prometheus"
    with ExitStack() as stack:
        process = stack.enter_context(worker())
        url = stack.enter_context(prometheus(tmp_path, program))
        assert process.stdin is not None and process.stdout is not None
        nothing = run("--prometheus", url, "--window", "1m")
        assert "no metrics of this project's workers in the last 1m" in str(nothing.exception)
        address = f"127.0.0.1:{int(process.stdout.readline())}"
        (tmp_path / "targets.json").write_text(json.dumps([{"targets": [address]}]))
        # Of whole seconds: one before the work, and one after it.
        until(url, "count_over_time(densefusion_build_info[1m:1s]) >= 2")
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        until(url, f"densefusion_process_seconds_count offset 1s >= {RECORDS}")
        saved = tmp_path / "costs.toml"
        done = run("--prometheus", url, "--window", "1m", "--save-costs", str(saved))
        assert done.exit_code == 0, done.exception
    printed: dict[str, Any] = json.loads(done.output)
    survey = printed["survey"]
    assert url in survey["where"]
    found = {name: each["value"] for name, each in survey["found"].items()}
    # Its scrapes cost some, too.
    assert CPU_MS * 0.95 < found["stages.ocr.cpu_ms"] < CPU_MS * 2
    assert 20 < found["stages.ocr.memory_mb"] < 1000
    assert found["stages.fetch.seconds_per_url"] == pytest.approx(SECONDS_PER_URL)
    assert found["images.fetched_share"] == pytest.approx(0.75)
    assert "stages.ocr.rate" in survey["found"] | survey["not_told"]
    assert survey["not_told"]["stages.detection.cpu_ms"] == "no worker of it was seen"
    assert printed["figures"]["stages.ocr.cpu_ms"]["source"].startswith(f"Prometheus at {url}, 1m")
    again = json.loads(run("--costs", str(saved)).output)["figures"]
    assert again["stages.ocr.cpu_ms"]["value"] == pytest.approx(
        found["stages.ocr.cpu_ms"], rel=1e-3
    )
