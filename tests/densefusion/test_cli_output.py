"""What a user reads on a terminal of 80 columns: help, progress, settings, and slips told."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from densefusion.cli import pipeline, report, run
from densefusion.cli.app import app, load
from densefusion.errors import SettingsError
from densefusion.ledger import Counts
from densefusion.settings_names import known, strangers

for name in ("metrics", "settings"):
    importlib.import_module(f"densefusion.cli.{name}")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests; 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for variable in os.environ:
        if variable.startswith("DENSEFUSION_"):
            monkeypatch.delenv(variable)


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_tells_defaults() -> None:
    assert "[default: 448]" in said("run", "--help")


def test_help_is_wrapped_once() -> None:
    assert "Interrupted, it leaves nothing broken" in said("run", "--help")


def test_progress_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        report, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True, width=80)
    )
    seen = {"captions": 1234, "fetched": 99_999, "priors.ocr": 12_345}
    counts = Counts(Counter(seen))
    with report.Live(99_999, ["detection", "tagging", "ocr", "knowledge"]) as live:
        live.show(counts)
    shown = capsys.readouterr().err
    assert "1234/99999" in shown
    assert "fetched 99999 detection 0 tagging 0 ocr 12345 knowledge 0 rejects 0" in shown


def test_ctrl_c_that_others_swallow_still_ends_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interrupt while the stack starts may hit a callback of a library, where it is lost."""

    @contextmanager
    def swallowing(*_: object, **__: object) -> Iterator[None]:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        yield

    def follow(_: object, __: object, stop: threading.Event, ___: object) -> run.Result:
        return run.Result(0, Counts(), 1.0, "", None, complete=not stop.is_set())

    monkeypatch.setattr(pipeline, "pipeline", swallowing)
    monkeypatch.setattr(run, "_follow", follow)
    (tmp_path / "urls.txt").write_text("http://example.invalid/a.jpg\n")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert CliRunner().invoke(app, ["run", "urls.txt"]).exit_code == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_names_of_metrics_are_not_cut() -> None:
    printed = said("metrics")
    assert "densefusion_kafka_broker_rtt_seconds  gauge  {stage}\n" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_shell_reads_what_settings_prints(tmp_path: Path) -> None:
    """And pydantic what the shell read: nothing that is not set becomes an empty value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSEFUSION_DATA_DIR", "a folder's")
        patch.setenv("DENSEFUSION_EXPERTS__ROSTER", "ocr,tagging")
        patch.setenv("DENSEFUSION_STORE__SECRET_KEY", "hunter2")
        patch.setenv("DENSEFUSION_KAFKA__OPTIONS", '{"debug": "msg"}')
        printed = said("settings")
    assert "hunter2" not in printed
    (tmp_path / "printed").write_text(printed)
    code = "from densefusion.settings import Settings as S; print(S().data_dir, S().experts.roster)"
    read = subprocess.run(
        ["bash", "-ec", f'set -a; . ./printed; "{sys.executable}" -c "{code}"'],
        capture_output=True, text=True, timeout=30, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert read.stdout == "a folder's ['ocr', 'tagging']\n"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("DENSEFUSION_KAFKA__BOOTSTRP", "DENSEFUSION_KAFKA__BOOTSTRAP"),
        ("DENSEFUSION_KAFKA_BOOTSTRAP", "DENSEFUSION_KAFKA__BOOTSTRAP"),
        ("densefusion_fetch__per_hosts", "DENSEFUSION_FETCH__PER_HOST"),
        ("DENSEFUSION_FETCH__HEADERS_OF_OURS", ""),
    ],
)
def test_a_name_that_is_no_setting_is_refused(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError, match=f"^{variable.upper()} is no setting") as refused:
        load()
    assert meant in str(refused.value)


def test_also_in_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DENSEFUSION_KAFKA__PARTITION=7\nSOMETHING__ELSE=1\n")
    with pytest.raises(SettingsError, match=r"^DENSEFUSION_KAFKA__PARTITION is no"):
        load()


def test_names_that_others_make_are_none_of_ours() -> None:
    """Kubernetes names its services in every pod's environment."""
    services = ["DENSEFUSION_SERVICE_HOST", "DENSEFUSION_KAFKA_BOOTSTRAP_SERVICE_PORT"]
    assert strangers([*services, "DENSEFUSION_KAFKA__OPTIONS__debug", *known()]) == []


def test_a_url_as_the_store_s_endpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSEFUSION_STORE__ENDPOINT", "http://minio:9000")
    with pytest.raises(SettingsError, match="endpoint is host:port, without http://"):
        load()
