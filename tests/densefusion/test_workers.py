"""Worker processes: started again after a crash, not after a user's error, stopped in time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from densefusion import workers
from densefusion.processes import tail
from densefusion.workers import TARGETS, Workers, WorkersFailed

POLITE = "import time\nprint('up', flush=True)\ntime.sleep(60)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + POLITE


class ScriptedWorkers(Workers):
    """Workers whose processes run a script in place of a stage."""

    scripts: dict[str, str]

    def _spawn(self, stage: str, port: int, log_file: Path) -> subprocess.Popen[bytes]:
        with log_file.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", self.scripts[stage]],
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    def log(self, stage: str, number: int = 0) -> Path:
        return self._logs / f"{stage}-{number}.log"

    def wait_ended(self) -> None:
        for child in self._children:
            child.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ScriptedWorkers]]:
    started: list[ScriptedWorkers] = []

    def run(stages: list[str], **scripts: str) -> ScriptedWorkers:
        made = ScriptedWorkers(stages, {"GREETING": "hello"}, tmp_path / "logs", tmp_path / TARGETS)
        made.scripts = scripts
        started.append(made)
        made.start()
        return made

    yield run
    for each in started:
        for child in each._children:
            child.process.kill()
            child.process.wait(10)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stage_named_twice_has_two_processes(start: Callable[..., ScriptedWorkers]) -> None:
    made = start(["a", "b", "a"], a=POLITE, b=POLITE)
    pids = made.pids()
    assert {stage: len(found) for stage, found in pids.items()} == {"a": 2, "b": 1}
    made.check()
    assert made.pids() == pids, "whoever lives is left alone"
    assert {made.log("a", 0).name, made.log("a", 1).name} <= {
        file.name for file in made.log("a").parent.iterdir()
    }


def test_output_and_settings_reach_the_worker(start: Callable[..., ScriptedWorkers]) -> None:
    made = start(["a"], a="import os, sys\nsys.exit(os.environ['GREETING'])")
    made.wait_ended()
    assert tail(made.log("a")) == "hello"


def test_the_crashed_one_is_started_again(start: Callable[..., ScriptedWorkers]) -> None:
    made = start(["a", "b"], a=POLITE, b=POLITE)
    before = made.pids()
    until(lambda: "up" in tail(made.log("a")))
    made._children[0].process.send_signal(signal.SIGKILL)
    made._children[0].process.wait(10)
    made.check()
    after = made.pids()
    assert after["a"] != before["a"] and after["b"] == before["b"]
    until(lambda: tail(made.log("a")).count("up") == 2)


def test_a_users_error_is_final_and_told(start: Callable[..., ScriptedWorkers]) -> None:
    made = start(["a"], a="import sys\nprint('no such topic')\nsys.exit(2)")
    made.wait_ended()
    with pytest.raises(WorkersFailed, match=r"(?s)worker a ended with code 2.*no such topic"):
        made.check()


def test_dying_again_and_again_is_final(start: Callable[..., ScriptedWorkers]) -> None:
    made = start(["a"], a="raise SystemExit('broken')")
    for _ in range(workers._RESTARTS):
        made.wait_ended()
        made.check()
    made.wait_ended()
    with pytest.raises(WorkersFailed, match=r"(?s)for the 6th time.*broken"):
        made.check()


def test_rare_deaths_are_forgiven(
    start: Callable[..., ScriptedWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_WITHIN", 0.0)
    made = start(["a"], a="raise SystemExit(1)")
    for _ in range(workers._RESTARTS + 2):
        made.wait_ended()
        made.check()


def test_stop_lets_them_leave_and_kills_who_does_not(
    start: Callable[..., ScriptedWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_STOP_SECONDS", 0.5)
    made = start(["polite", "stubborn"], polite=POLITE, stubborn=STUBBORN)
    until(lambda: all("up" in tail(made.log(stage)) for stage in ("polite", "stubborn")))
    began = time.monotonic()
    made.stop()
    assert time.monotonic() - began < 5
    assert [child.process.returncode for child in made._children] == [
        -signal.SIGTERM,
        -signal.SIGKILL,
    ]
    made.stop()  # again does no harm


def test_tail_is_the_end_of_any_log(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""
    file = tmp_path / "log"
    file.write_bytes(b"\n".join(b"line %d \xff" % number for number in range(100)))
    assert tail(file, 2) == "line 98 \ufffd\nline 99 \ufffd"


def test_addresses_of_metrics_are_listed_while_workers_run(
    start: Callable[..., ScriptedWorkers], tmp_path: Path
) -> None:
    workers = start(["ocr", "fetch", "ocr"], ocr=POLITE, fetch=POLITE)
    groups = json.loads((tmp_path / TARGETS).read_text("utf-8"))
    assert [group["labels"] for group in groups] == [
        {"worker": "ocr-0"}, {"worker": "fetch-0"}, {"worker": "ocr-1"},
    ]  # fmt: skip
    addresses = {address for group in groups for address in group["targets"]}
    assert len(addresses) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    workers.stop()
    assert not (tmp_path / TARGETS).exists()


def test_a_worker_that_is_started_again_gets_another_port(
    start: Callable[..., ScriptedWorkers], tmp_path: Path
) -> None:
    """The old one may be why it ended: somebody else listens on it."""

    def addresses() -> list[str]:
        groups = json.loads((tmp_path / TARGETS).read_text("utf-8"))
        return [address for group in groups for address in group["targets"]]

    workers = start(["fetch"], fetch="raise SystemExit(3)")
    before = addresses()
    workers._children[0].process.wait(10)
    workers.check()
    (after,) = addresses()
    assert after not in before
    assert after == f"127.0.0.1:{workers._children[0].port}"
