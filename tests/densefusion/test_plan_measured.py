"""What the workers' metrics tell of the plan's figures, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from densefusion.cli.app import app
from densefusion.cli.plan import plan as _command  # noqa: F401 - registers it
from densefusion.errors import SettingsError
from densefusion.plan.costs import load
from densefusion.plan.history import History, Key, Step, read
from densefusion.plan.measured import Survey, seconds_of, told
from densefusion.plan.request import Request
from densefusion.plan.sizing import plan
from densefusion.plan.survey_report import save
from densefusion.servers import free_ports
from densefusion.status.scrape import MetricsAway, PrometheusServer, Series


def step(
    stage: str = "ocr", done: float = 100, *, cpu: float | None = 9.5, idle: float = 0.0,
    model: float = 8.0, seconds: float = 10.0, instance: str = "a", stages: tuple[str, ...] = (),
    more: Mapping[str, float] = {},
) -> Step:  # fmt: skip
    """Ten seconds of a worker that has a core to itself, unless said otherwise."""
    grown: dict[Key, float] = {
        ("done", stage): done, ("idle", stage): idle, ("model", stage): model,
        **{tuple(key.split("__")): by for key, by in more.items()},
    }  # fmt: skip
    every = frozenset({stage, *stages})
    return Step(("densefusion", instance), seconds, every, cpu, 700e6, grown)


def tell(*steps: Step, **providers: str) -> Survey:
    ran = {expert: set(names.split("_")) for expert, names in providers.items()}
    return told(History(list(steps), ran), load(), "there")


def test_a_worker_at_work_tells_its_pace_and_its_cost() -> None:
    found = tell(step(), step(instance="b"), step(done=5, idle=9.0, cpu=4.0), ocr="cpu").found
    assert found["stages.ocr.cpu_ms"][0] == pytest.approx(95)
    assert found["stages.ocr.rate"][0] == pytest.approx(10)
    assert found["stages.ocr.memory_mb"][0] == pytest.approx(700)
    assert "2 workers, 200 records in 20 s at work" in found["stages.ocr.cpu_ms"][1]


def test_one_that_others_took_the_core_of_tells_its_cost_alone() -> None:
    found = tell(step(cpu=2.0, model=8.0), ocr="cpu")
    assert found.found["stages.ocr.cpu_ms"][0] == pytest.approx(20)
    assert "others had its core" in found.missing["stages.ocr.rate"]


def test_one_that_waits_for_something_else_tells_its_pace() -> None:
    found = tell(step(cpu=2.0, model=2.0), ocr="cpu").found
    assert found["stages.ocr.rate"][0] == pytest.approx(10)


def test_without_a_model_nobody_knows_what_it_waited_for() -> None:
    found = tell(step("knowledge", cpu=2.0, model=0.0))
    assert "do not tell" in found.missing["stages.knowledge.rate"]
    assert found.found["stages.knowledge.cpu_ms"][0] == pytest.approx(20)


def test_one_that_was_seldom_at_work_tells_no_pace_and_no_peak() -> None:
    found = tell(step(idle=7.0), step(done=0, idle=10.0, cpu=1.0))
    value, why = found.found["stages.ocr.cpu_ms"]
    assert value == pytest.approx(95) and "its idle CPU is in it" in why
    assert {"stages.ocr.rate", "stages.ocr.memory_mb"} <= set(found.missing)


def test_its_idle_cpu_is_taken_off_where_that_was_seen() -> None:
    quiet = [step(done=0, idle=9.5, cpu=0.5, seconds=10)] * 3  # 0.05 cores
    value, why = tell(step(idle=8.0), *quiet).found["stages.ocr.cpu_ms"]
    assert value == pytest.approx((9.5 - 8 * 0.05) * 10) and "(0.05 cores) is taken off" in why
    nothing = tell(step(idle=8.0, cpu=0.3), *quiet)
    assert "than it takes when idle" in nothing.missing["stages.ocr.cpu_ms"]


@pytest.mark.parametrize(
    ("steps", "providers", "why"),
    [
        ([step(stages=("fetch",))], {}, "runs other stages, too"),
        ([step("detection")], {}, "no worker of it was seen"),
        ([step()], {"ocr": "cpu_cuda"}, "it ran on cpu and cuda"),
        ([step(done=49)], {}, "only 49 records"),
        ([step(cpu=None)], {}, "do not tell their CPU time"),
    ],
)
def test_what_cannot_be_told_says_why(
    steps: list[Step], providers: Mapping[str, str], why: str
) -> None:
    found = tell(*steps, **providers)
    assert why in found.missing["stages.ocr.cpu_ms"]
    assert not {"stages.ocr.cpu_ms", "stages.ocr.rate"} & set(found.found)


def test_beside_a_gpu_its_cpu_is_told_and_the_gpu_is_not() -> None:
    found = tell(step(cpu=2.0), ocr="tensorrt")
    assert found.found["stages.ocr.host_ms"][0] == pytest.approx(20)
    assert "--gpu-images-per-second ocr=10" in found.missing["stages.ocr.gpu_rate"]
    assert not {"stages.ocr.cpu_ms", "stages.ocr.rate"} & (set(found.found) | set(found.missing))
    seldom = tell(step(idle=7.0, cpu=2.0), ocr="cuda")
    assert "stages.ocr.host_ms" in seldom.found
    assert not {"stages.ocr.gpu_rate", "stages.ocr.rate"} & set(seldom.missing)


def test_captions_of_a_server() -> None:
    more = {
        "captions__openai:m": 80.0, "tokens__openai:m": 16_000.0,
        "caption_seconds__openai:m": 240.0,
    }  # fmt: skip
    found = tell(step("fusion", 80, more=more)).found
    assert found["stages.fusion.caption_seconds"][0] == 3
    assert found["captions.tokens_out"][0] == 200
    assert found["stages.fusion.picture_ms"] == (0.0, "it is in cpu_ms")
    assert "stages.fusion.rate" not in found
    both = tell(step("fusion", 80, more=more | {"captions__compose": 20.0}))
    assert "not told apart" in both.missing["stages.fusion.cpu_ms"]
    composed = tell(step("fusion", 80, more={"captions__compose": 80.0, "tokens__compose": 9.0}))
    assert "no caption server" in composed.missing["captions.tokens_out"]
    assert "stages.fusion.cpu_ms" in composed.found


def test_what_becomes_of_the_urls() -> None:
    fetch = {
        "urls": 200.0, "url_seconds": 50.0, "pictures": 150.0, "picture_bytes": 30e6,
        "out__fetch__x.fetched": 120.0, "out__fetch__x.rejects": 70.0,
        "out__fetch__x.dead-letters": 10.0,
    }  # fmt: skip
    found = tell(
        step("fetch", 200, more=fetch), step("curate", more={"out__curate__rejects": 60.0})
    )
    assert found.found["stages.fetch.seconds_per_url"][0] == 0.25
    assert found.found["images.kb"][0] == 200
    assert found.found["images.fetched_share"][0] == 0.6
    assert found.missing["images.kept_share"] == "0 of 60 pictures", "a plan divides by it"


class ScriptedServer:
    """In place of `PrometheusServer`: answers a query by the metric that it names."""

    def __init__(self, **series: list[Series]) -> None:
        self._series = series

    def history(self, query: str, seconds: float, step: float) -> Iterator[Series]:
        for name, found in self._series.items():
            if name in query.replace("on (job, instance) densefusion_build_info", ""):
                yield from found


def series(values: list[float | None], **labels: str) -> Series:
    at = {60.0 + 10 * n: value for n, value in enumerate(values) if value is not None}
    return {"job": "j", "instance": "a", **labels}, at


def test_a_step_is_between_two_scrapes_of_one_process() -> None:
    scripted = ScriptedServer(
        # Not scraped between 70 and 80; at 100 it has begun anew.
        densefusion_build_info=[series([58, 68, 68, 88, 98])],
        process_cpu_seconds_total=[series([1, 2, 2, 5, 0.5])],
        process_resident_memory_bytes=[series([10, 11, 11, 13, 9])],
        densefusion_process_seconds_count=[series([0, 10, 10, 40, 3], stage="ocr")],
        densefusion_records_out_total=[
            series([None, None, None, 7, 1], stage="ocr", topic="rejects"),
            ({"job": "j", "instance": "just come"}, {90.0: 5.0}),
        ],
        densefusion_engine_info=[series([1] * 5, expert="ocr", provider="cpu")],
    )
    history = read(cast(PrometheusServer, scripted), 100)
    first, second = history.steps
    assert (first.seconds, first.cpu, first.sum("done", "ocr")) == (10, 1, 10)
    assert (second.seconds, second.cpu, second.memory) == (20, 3, 13)
    assert second.grown == {("done", "ocr"): 30, ("out", "ocr", "rejects"): 7}, "it was 0 before"
    assert second.stages == {"ocr"}
    assert history.providers == {"ocr": {"cpu"}}


def test_a_plan_counts_workers_by_their_pace_and_cores_by_what_they_took() -> None:
    found = tell(step(cpu=2.0, model=2.0), ocr="cpu")
    made = plan(Request(1e6), load(None, found.figures()))
    (ocr,) = (each for each in made.stages if each.model.stage == "ocr")
    assert ocr.model.rate == pytest.approx(10) and ocr.model.limit == "as measured"
    assert (ocr.workers, ocr.cores) == (4, 1), "33.1/s are needed; 20 ms of CPU each"
    assert "there: 1 worker" in made.measured["stages.ocr.rate"].source


def test_saved_costs_are_those_and_a_file_comes_first(tmp_path: Path) -> None:
    found = tell(step(), step("fetch", more={"urls": 300.0, "url_seconds": 100.0}), ocr="cpu")
    save(found, tmp_path / "costs.toml")
    again = load(tmp_path / "costs.toml")
    assert {name: again(name) for name in found.found} == {
        name: pytest.approx(value, rel=1e-3) for name, (value, _) in found.found.items()
    }
    (tmp_path / "mine.toml").write_text('[stages.ocr]\ncpu_ms = [7, "caution"]\n')
    both = load(tmp_path / "mine.toml", found.figures())
    assert (both("stages.ocr.cpu_ms"), both("stages.ocr.rate")) == (7, 10)
    with pytest.raises(SettingsError, match=r"--save-costs .*No such file"):
        save(found, tmp_path / "nowhere" / "costs.toml")


@pytest.mark.parametrize(
    "window", ["", "1", "h", "0h", "1w", "-1h", "32d", "1s", "9999999d", "1h "]
)
def test_a_window_that_is_none(window: str) -> None:
    with pytest.raises(SettingsError, match="--window"):
        seconds_of(window)


def test_windows() -> None:
    assert [seconds_of(each) for each in ("2s", "30m", "1h", "31d")] == [2, 1800, 3600, 2_678_400]


def test_a_prometheus_that_is_away() -> None:
    (nobody,) = free_ports(1)
    url = f"http://me:secret@127.0.0.1:{nobody}"
    done = CliRunner().invoke(app, ["plan", "--images-per-day", "1e6", "--prometheus", url])
    assert isinstance(done.exception, MetricsAway)
    assert f"Prometheus at http://127.0.0.1:{nobody}: " in str(done.exception)
    assert "secret" not in str(done.exception)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--save-costs", "costs.toml"], "needs --prometheus"),
        (["--prometheus", "me:secret@127.0.0.1:9090"], "not an http"),
    ],
)
def test_options_that_make_no_sense(options: list[str], why: str) -> None:
    done = CliRunner().invoke(app, ["plan", "--images-per-day", "1e6", *options])
    assert isinstance(done.exception, SettingsError) and why in str(done.exception)
    assert "secret" not in str(done.exception)
