"""The Prometheus beside `densefusion up`: scrapes the workers of the file, has the rules, stops."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import urllib3

from densefusion import prometheus
from densefusion.prometheus import Prometheus
from densefusion.servers import StartFailed

PROGRAM = prometheus.installed()
needs_it = pytest.mark.skipif(
    PROGRAM is None, reason="Prometheus is not installed (apt install prometheus)"
)


def answer(server: Prometheus, path: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(urllib3.request("GET", server.url + path).data)["data"]
    return found


@needs_it
def test_it_scrapes_what_the_file_lists_and_stops(tmp_path: Path) -> None:
    assert PROGRAM is not None
    targets = tmp_path / "targets.json"
    server = Prometheus(tmp_path / "a folder's", targets, PROGRAM)
    with server:
        pid = server.pid
        assert pid is not None
        # It watches itself here: any server with /metrics will do.
        address = server.url.removeprefix("http://")
        targets.write_text(json.dumps([{"targets": [address], "labels": {"worker": "x-0"}}]))
        until = time.monotonic() + 20
        while not (active := answer(server, "/api/v1/targets")["activeTargets"]):
            assert time.monotonic() < until, "the file was not read"
            time.sleep(0.1)
        assert active[0]["labels"]["worker"] == "x-0"  # type: ignore[index]
        if prometheus.RULES.is_dir():
            assert answer(server, "/api/v1/rules")["groups"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho broken storage >&2\nexit 1\n")
    program.chmod(0o755)
    server = Prometheus(tmp_path / "data", tmp_path / "targets.json", str(program))
    with pytest.raises(StartFailed, match="broken storage"):
        server.start()
    assert server.pid is None
