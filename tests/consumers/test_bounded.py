from __future__ import annotations

import subprocess
import sys
import threading

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
