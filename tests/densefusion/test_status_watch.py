"""Snapshots: rates, what is left and for how long, what is stuck."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from densefusion.status.groups import Progress
from densefusion.status.reading import Reading
from densefusion.status.screen import duration, screen, short
from densefusion.status.snapshot import Snapshot, as_object
from densefusion.status.watch import Watch

STAGES = ["fetch", "curate", "detection", "ocr", "fusion", "dataset"]
AT_REST = Progress(("t",), 0, 0, 0, 1)


class Stream:
    """Brokers and workers whose state a test sets, and their clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.progress = dict.fromkeys(STAGES, AT_REST)
        self.reading: Reading | None = None
        self.earlier: Reading | None = None

    def clock(self) -> float:
        return self.now

    def goes(self, seconds: float, **done: int) -> None:
        """Time goes on, and so many records of a stage are done."""
        self.now += seconds
        for name, number in done.items():
            old = self.progress[name]
            self.progress[name] = replace(
                old, position=old.position + number, done=old.done + number,
                waiting=old.waiting - number,
            )  # fmt: skip

    def waits(self, **waiting: int) -> None:
        for name, number in waiting.items():
            self.progress[name] = replace(self.progress[name], waiting=number)


class Brokers:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def read(self) -> dict[str, Progress]:
        return dict(self.stream.progress)


class Workers:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def read(self) -> Reading:
        assert self.stream.reading is not None
        return self.stream.reading

    def before(self, seconds: float) -> Reading | None:
        return self.stream.earlier


@pytest.fixture
def stream() -> Stream:
    return Stream()


def watch(stream: Stream, *, metrics: bool = False) -> Watch:
    source = (Workers(stream), "targets.json") if metrics else (None, None)
    return Watch("kafka:9092", STAGES, Brokers(stream), *source, clock=stream.clock)


def shown(found: Snapshot, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(screen(found, width))
    return console.export_text()


def test_the_slowest_stage_decides_when_all_is_drained(stream: Stream) -> None:
    looking = watch(stream)
    stream.waits(fetch=1000, ocr=600, fusion=620)
    looking.take()
    stream.goes(10, fetch=100, ocr=50, fusion=50)
    found = looking.take()
    by = {each.name: each for each in found.stages}
    assert by["fetch"].committed_rate == 10
    assert by["fetch"].eta == pytest.approx(900 / 10)
    # What waits for fetch will wait for OCR, too.
    assert by["ocr"].eta == pytest.approx((550 + 900) / 5)
    assert (found.bottleneck, found.eta) == ("fusion", pytest.approx((570 + 900) / 5))
    assert found.waiting == 900 + 570
    assert found.stuck == []
    assert "drained in 4 min 54 s" in shown(found)


def test_nothing_waits(stream: Stream) -> None:
    looking = watch(stream)
    looking.take()
    stream.goes(5)
    found = looking.take()
    assert (found.eta, found.waiting, found.stuck) == (0.0, 0, [])
    assert "nothing waits" in shown(found)


def test_what_does_not_move_is_stuck_and_nobody_knows_how_long(stream: Stream) -> None:
    looking = watch(stream)
    stream.waits(ocr=50, fusion=50)
    looking.take()
    stream.goes(10)
    assert looking.take().stuck == [], "a slow batch is no standstill"
    stream.goes(10)
    found = looking.take()
    assert found.eta is None
    assert "ocr: 50 wait, nothing committed for 20 s" in found.stuck
    assert "no telling when" in shown(found)
    stream.goes(1, ocr=1)
    assert not any(said.startswith("ocr") for said in looking.take().stuck)


def test_a_stage_without_workers(stream: Stream) -> None:
    stream.progress["ocr"] = replace(AT_REST, waiting=5, members=0)
    assert watch(stream).take().stuck == ["ocr: 5 wait, and no worker of it is known"]


def test_rates_are_those_of_the_last_minute(stream: Stream) -> None:
    looking = watch(stream)
    stream.waits(fetch=10_000)
    for _ in range(120):
        looking.take()
        stream.goes(1, fetch=10)
    for _ in range(60):
        stream.goes(1, fetch=30)
        found = looking.take()
    assert found.stages[0].committed_rate == pytest.approx(30, rel=0.05)
    assert found.window == pytest.approx(60, abs=1)


def measured(at: float, records: int, slow: int = 0) -> Reading:
    """Metrics as the contract with the dashboards names them."""
    made = Reading(at)
    add = made.add
    add("densefusion_records_in_total", {"stage": "fetch"}, "w1", records)
    add("densefusion_records_out_total", {"stage": "fetch", "topic": "fetched"}, "w1", records / 2)
    add("densefusion_records_out_total", {"stage": "fetch", "topic": "rejects"}, "w1", records / 2)
    add("densefusion_rejects_total", {"stage": "fetch", "reason": "http-404"}, "w1", 40)
    add("densefusion_rejects_total", {"stage": "fetch", "reason": "timeout"}, "w1", 2)
    add("densefusion_missing_priors_total", {"expert": "ocr"}, "w2", 3)
    add("densefusion_dead_letters_total", {"stage": "fetch"}, "w1", 1)
    for bound, number in (("1.0", records - slow), ("60.0", records), ("+Inf", records)):
        labels = {"stage": "fetch", "le": bound}
        add("densefusion_age_seconds_bucket", labels, "w1", number)
    add("densefusion_worker_ready", {"stage": "fetch"}, "w1", 1)
    add("densefusion_worker_ready", {"stage": "ocr"}, "w2", 0)
    add("densefusion_join_oldest_seconds", {"partition": "0"}, "w3", 75)
    add("densefusion_engine_info",
        {"expert": "ocr", "requested": "cuda", "provider": "cpu"}, "w2", 1)  # fmt: skip
    return made


def test_the_workers_metrics(stream: Stream) -> None:
    stream.reading = measured(0, 0)
    looking = watch(stream, metrics=True)
    looking.take()
    stream.goes(10)
    stream.waits(ocr=7)
    stream.reading = measured(10, 200, slow=20)
    stream.reading.down["w9"] = "refused"
    found = looking.take()
    fetch = found.stages[0]
    assert (fetch.rate_in, fetch.rate_out, fetch.rejects, fetch.dead_letters) == (20, 20, 42, 1)
    assert fetch.age_p50 == pytest.approx(0.556, abs=0.01)
    assert fetch.age_p95 == pytest.approx(30.5, abs=0.1)
    assert found.missing == {"ocr": 3}
    assert found.metrics == "targets.json"
    said = "\n".join(found.stuck)
    for part in ("worker w9 does not answer: refused", "waited 75 s", "ocr is furthest behind",
                 "ocr runs on cpu, asked for was cuda", "ocr: a worker is up and not ready",
                 "dead letters: fetch 1"):  # fmt: skip
        assert part in said
    text = shown(found)
    assert "http-404" in text and "timeout" in text and "captions without" in text


def test_prometheus_remembers_what_was_before_the_first_look(stream: Stream) -> None:
    stream.earlier, stream.reading = measured(-60, 0), measured(0, 600)
    found = watch(stream, metrics=True).take()
    assert found.stages[0].rate_in == 10


def test_without_metrics(stream: Stream) -> None:
    looking = watch(stream)
    looking.take()
    stream.goes(2)
    found = looking.take()
    assert found.metrics is None
    assert "no metrics" in shown(found)


def test_json_says_the_same(stream: Stream) -> None:
    stream.reading = measured(0, 10)
    looking = watch(stream, metrics=True)
    stream.waits(fetch=3)
    looking.take()
    stream.goes(3, fetch=1)
    stream.reading = measured(3, 11)
    found = json.loads(json.dumps(as_object(looking.take())))
    assert list(found["stages"]) == STAGES
    fetch = found["stages"]["fetch"]
    assert (fetch["waiting"], fetch["done"], fetch["committed_rate"]) == (2, 1, 0.333)
    assert found["rejects"] == {"fetch": {"http-404": 40, "timeout": 2}}


@pytest.mark.parametrize("width", [80, 90, 120])
def test_it_fits_the_terminal(stream: Stream, width: int) -> None:
    stream.reading = measured(0, 10)
    looking = watch(stream, metrics=True)
    stream.waits(fetch=1_234_567, ocr=900)
    looking.take()
    stream.goes(600, fetch=12_000, ocr=1)
    stream.reading = measured(600, 100_000)
    text = shown(looking.take(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "1,222,567" in text and "…" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12, "12 s"), (59.4, "59 s"), (59.6, "1 min"),
     (200, "3 min 20 s"), (3599.7, "1 h"), (18_720, "5 h 12 min"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert " " not in short(seconds)
