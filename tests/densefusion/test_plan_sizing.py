"""The plan: it holds in its own simulation, less does not, and its figures have a source."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from densefusion.cli.app import app
from densefusion.cli.plan import plan as _command  # noqa: F401 - registers it
from densefusion.errors import SettingsError
from densefusion.plan.arrivals import DAY, Load
from densefusion.plan.check import check, complaints, run
from densefusion.plan.costs import load
from densefusion.plan.partitions import MOST, choose, fewest
from densefusion.plan.request import Prices, Request
from densefusion.plan.simulation import Trouble, useful
from densefusion.plan.sizing import plan
from densefusion.settings import Kafka as kafka_settings

ROOT = Path(__file__).parents[2]
GPUS = st.sampled_from([None, "t4", "l4", "a100", "h100"])
REQUESTS = st.builds(
    Request,
    images_per_day=st.floats(1e3, 3e7),
    gpu=GPUS,
    peak_factor=st.floats(1, 3),
    utilisation=st.floats(0.3, 0.85),
)


@settings(deadline=None, max_examples=12)
@given(request=REQUESTS, seed=st.integers(1, 99))
def test_a_plan_holds_in_its_own_simulation(request: Request, seed: int) -> None:
    made = plan(request, load())
    arriving = Load(request.images_per_day, request.peak_factor)
    assert check(made, arriving, Trouble(), seed, step=30).failures == []


@settings(deadline=None, max_examples=10)
@given(request=REQUESTS)
def test_less_than_the_peak_needs_does_not_hold(request: Request) -> None:
    """Three quarters of the workers that the peak keeps busy: the queue grows for hours."""
    made = plan(request, load())
    short = {
        each.model.stage: math.floor(0.75 * request.peak / each.model.rate) for each in made.stages
    }
    short = {stage: workers for stage, workers in short.items() if workers >= 1}
    outcome = run(
        made, Load(request.images_per_day, request.peak_factor), Trouble(), step=30, workers=short
    )
    assert bool(complaints(outcome, request.max_age)) == bool(short)


@given(request=REQUESTS)
def test_every_stage_can_do_the_peak_and_one_worker_fewer_could_not(request: Request) -> None:
    made = plan(request, load())
    for each in made.stages:
        assert each.capacity >= request.needed * (1 - 1e-9)
        assert each.workers <= made.partitions
        one_fewer = useful(each.workers - 1, made.partitions) * each.model.rate
        assert one_fewer < request.needed


@given(units=st.floats(0.01, 1e4), partitions=st.integers(1, 10_000))
def test_the_fewest_workers_are_the_fewest(units: float, partitions: int) -> None:
    found = fewest(units, partitions)
    if units > partitions:
        assert found is None
        return
    assert found is not None
    assert useful(found, partitions) >= units * (1 - 1e-9)
    assert useful(found - 1, partitions) < units


def test_partitions_are_shared_out_evenly_in_many_ways_and_leave_room() -> None:
    assert [choose(workers) for workers in (0.5, 2.1, 3, 4, 5, 30, 100)] == [
        4, 6, 6, 8, 12, 64, 256,
    ]  # fmt: skip


def test_partitions_that_are_too_few_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="8 partitions are too few: detection needs 16"):
        plan(Request(1e7, partitions=8), load())


def test_more_than_a_stream_can_have_is_refused() -> None:
    made = kafka_settings(partitions=MOST)  # does not raise
    assert made.partitions == MOST
    with pytest.raises(ValueError, match="less than or equal"):
        kafka_settings(partitions=MOST + 1)
    with pytest.raises(SettingsError, match="several streams"):
        plan(Request(1e10), load())


def test_the_marker_of_each_partition_asks_for_no_more_than_the_idle_workers() -> None:
    made = plan(Request(1e7, gpu="l4"), load())
    for each in made.stages:
        assert math.ceil(made.partitions / each.lag_threshold) <= max(each.idle, 1)
    assert any(each.idle > 1 for each in made.stages)


def test_twice_the_images_cost_twice_as_much() -> None:
    prices = Prices(core_hour=0.05, gpu_hour=1.0, gb_month=0.02)
    one, two = (
        plan(Request(scale * 2e7, gpu="a100", prices=prices), load()).dollars_a_day
        for scale in (1, 2)
    )
    assert one is not None and two is not None
    assert two == pytest.approx(2 * one, rel=0.1)


def test_captions_of_a_model_take_gpus_and_connections() -> None:
    request = Request(1e6, captions="openai", tokens_per_second=2500)
    made = plan(request, load())
    assert made.captions is not None
    tokens = 1e6 / DAY * 2 * 250
    assert made.captions.gpus == math.ceil(tokens / 0.7 / 2500)
    with pytest.raises(SettingsError, match="--tokens-per-second"):
        Request(1e6, captions="openai")


def test_an_expert_on_the_cpu_needs_no_gpu() -> None:
    made = plan(Request(1e7, gpu="l4", on_cpu=("ocr",)), load())
    by_stage = {each.model.stage: each for each in made.stages}
    assert by_stage["ocr"].gpus == 0 < by_stage["detection"].gpus
    with pytest.raises(SettingsError, match="no expert ocd"):
        plan(Request(1e7, on_cpu=("ocd",)), load())


def test_what_was_not_measured_is_told_with_its_source() -> None:
    made = plan(Request(1e7, gpu="l4"), load())
    assert made.assumptions["stages.ocr.gpu_rate"].kind == "published"
    assert "PaddleOCR" in made.assumptions["stages.ocr.gpu_rate"].source
    assert "stages.ocr.cpu_ms" not in made.assumptions
    assert made.measured["stages.fetch.cpu_ms"].source.startswith("tests/benchmarks/pipeline.py")


def test_the_costs_are_those_of_the_benchmarks() -> None:
    """Where a benchmark's README has new figures, so must costs.toml."""
    text = " ".join((ROOT / "tests/benchmarks/README.md").read_text("utf-8").split())
    costs = load()
    said = re.search(
        r"OCR (\d+) ms, detection (\d+), tagging (\d+), object store (\d+), broker \d+, "
        r"fetch (\d+), dataset (\d+)",
        text,
    )
    assert said is not None
    names = ("stages.ocr", "stages.detection", "stages.tagging", "store", "stages.fetch")
    names += ("stages.dataset",)
    assert [costs(f"{name}.cpu_ms") for name in names] == [float(each) for each in said.groups()]


def test_a_file_of_ones_own_figures_is_laid_over(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[sources.mine]\nkind = "measured"\ntext = "our cluster"\n'
        '[stages.ocr]\ncpu_ms = [70, "mine"]\n'
        '[stages.colours]\nexpert = true\ncpu_ms = [4, "mine"]\nmemory_mb = [300, "mine"]\n'
        'start_seconds = [5, "mine"]\n',
        "utf-8",
    )
    made = plan(Request(1e6), load(file))
    assert [each.model.stage for each in made.stages] == [
        "fetch", "curate", "detection", "tagging", "ocr", "knowledge", "colours", "fusion",
        "dataset",
    ]  # fmt: skip
    assert next(each.workers for each in made.stages if each.model.stage == "ocr") == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[stages.ocr]\ncpu_ms = 70\n", None),  # a flag: of no use, and no harm
        ('[stages.ocr]\ncpu_ms = [70, "nowhere"]\n', "no source nowhere"),
        ('[stages.ocr]\ncpu_ms = ["70", "pipeline"]\n', "stages.ocr.cpu_ms: write"),
        ('[stages.ocr]\ncpu_ms = [-1, "pipeline"]\n', "not negative"),
        ('[stages.ocr]\ncpu_ms = [true, "pipeline"]\n', "stages.ocr.cpu_ms: write"),
        ("[stages.ocr\n", "mine.toml"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, why: str | None) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    if why is None:
        load(file)
        return
    with pytest.raises(SettingsError, match=re.escape(why)):
        load(file)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--images-per-day", "0"], "--images-per-day"),
        (["--images-per-day", "nan"], "--images-per-day"),
        (["--images-per-day", "1e6", "--utilisation", "1"], "--utilisation"),
        (["--images-per-day", "1e6", "--gpu", "voodoo2"], "voodoo2"),
        (["--images-per-day", "1e6", "--gpu", "l4", "--cpu"], "--cpu or --gpu"),
        (["--images-per-day", "1e6", "--gpu-images-per-second", "ocr"], "EXPERT=NUMBER"),
    ],
)
def test_the_command_says_what_is_wrong(wrong: list[str], why: str) -> None:
    done = CliRunner().invoke(app, ["plan", *wrong])
    assert isinstance(done.exception, SettingsError) and why in str(done.exception)


def test_the_command_prints_a_plan_and_its_check() -> None:
    done = CliRunner().invoke(
        app, ["plan", "--images-per-day", "1e6", "--simulate", "--days", "0.1"]
    )
    assert done.exit_code == 0, done.output
    assert "partitions        6 of each topic" in done.output
    assert "the plan holds" in done.output
    assert max(map(len, done.output.splitlines())) <= 98


def test_the_command_fails_where_the_plan_does() -> None:
    arguments = ["plan", "--images-per-day", "1e6", "--simulate", "--days", "0.1"]
    done = CliRunner().invoke(app, [*arguments, "--burst", "400000", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert told["simulation"]["holds"] is False
    assert told["figures"]["stages.ocr.cpu_ms"]["kind"] == "measured"


def test_ones_own_rate_of_a_gpu_is_taken_as_it_is() -> None:
    arguments = ["plan", "--images-per-day", "1e7", "--gpu", "l4", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--gpu-images-per-second", "ocr=40"])
    stages = {each["stage"]: each for each in json.loads(done.output)["stages"]}
    assert stages["ocr"]["images_per_second_each"] == 40


@pytest.mark.parametrize(
    ("figure", "value", "limit"),
    [
        ("kafka.broker_mb_s", 0.1, "throughput"),
        ("kafka.broker_disk_tb", 0.01, "disk"),
        ("kafka.broker_partitions", 100, "partitions"),
        ("kafka.retention_days", 7, "replication"),
    ],
)
def test_brokers_are_as_many_as_the_hardest_limit_asks_for(
    figure: str, value: float, limit: str
) -> None:
    costs = load()
    costs.give(figure, value, "test")
    stored = plan(Request(1e7), costs).storage
    replicas = plan(Request(1e7), costs).partitions * 10 * 3  # topics, replicas
    expected = {
        "throughput": 3 * stored.kafka_mb_s / value,  # every byte is written three times
        "disk": stored.kafka_disk_gb / 1000 / value,
        "partitions": replicas / value,
        "replication": 3,
    }
    assert (stored.broker_limit, stored.brokers) == (limit, math.ceil(expected[limit]))


def test_images_that_are_left_are_a_complaint_however_young_the_others_are() -> None:
    request = Request(1e6)
    outcome = run(plan(request, load()), Load(1e6, seconds=3600), Trouble(), step=15)
    assert complaints(outcome, 600) == []
    outcome.drained, outcome.left = None, 7
    assert complaints(outcome, 600) == ["not drained: 7 images are left"]
