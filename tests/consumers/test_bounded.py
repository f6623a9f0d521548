from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from consumers import bounded
from consumers.bounded import NeverReturned


def test_answers_and_exceptions_come_through() -> None:
    assert bounded.bounded(lambda a, seconds: a + seconds, 1, 2.0) == 3
    with pytest.raises(ZeroDivisionError):
        bounded.bounded(lambda seconds: 1 // 0, 2.0)


def test_a_call_that_does_not_return_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_OVER_SECONDS", 0.1)
    gate = threading.Event()
    with pytest.raises(NeverReturned):
        bounded.bounded(lambda seconds: gate.wait(30), 0.1)
    gate.set()


def test_a_process_that_was_stopped_gives_nothing_up_for_that() -> None:
    program = (
        "import os, signal, time\n"
        "from consumers import bounded\n"
        "bounded._OVER_SECONDS = 0\n"
        "print('ready', flush=True)\n"
        "print(bounded.bounded(lambda seconds: time.sleep(0.8) or 'back', 1.5), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=20)[0] == "back\n"


def test_it_does_not_keep_the_process() -> None:
    program = (
        "import threading\n"
        "from consumers import bounded\n"
        "bounded._OVER_SECONDS = 0\n"
        "try: bounded.bounded(lambda seconds: threading.Event().wait(), 0.1)\n"
        "except bounded.NeverReturned: print('gave up')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "gave up"
