"""What each worker did lately, from a Prometheus server, step by step.

A step is the time between two scrapes of one process; counters are compared only within one, so
that a process that began anew in between, or was not there yet, tells nothing wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from densefusion.status.scrape import PrometheusServer, Series

_STEPS = 240  # of a window: what bounds the answers, however long it is
_OURS = "and on (job, instance) densefusion_build_info"
_COUNTERS = {
    "done": 'densefusion_process_seconds_count',
    "idle": 'densefusion_step_seconds_total{step="input"}',
    "model": 'densefusion_step_seconds_total{step="model"}',
    "out": "densefusion_records_out_total",
    "urls": "densefusion_fetch_seconds_count",
    "url_seconds": "densefusion_fetch_seconds_sum",
    "pictures": 'densefusion_fetch_total{status="200"}',
    "picture_bytes": "densefusion_fetch_bytes_total",
    "captions": "densefusion_captions_total",
    "tokens": 'densefusion_caption_tokens_total{direction="out"}',
    "caption_seconds": "densefusion_caption_seconds_sum",
}  # fmt: skip
_LABELS = ("stage", "topic", "engine")

Place = tuple[str, str]  # job, instance
Key = tuple[str, ...]  # a counter's short name, and the values of those of its labels in `_LABELS`


@dataclass(frozen=True, slots=True)
class Step:
    """What one process did between two scrapes.

    Attributes:
        seconds: between the two.
        stages: that the process runs.
        cpu: seconds of it, all threads together; None: not told (on another system than Linux).
        memory: bytes in use at the end; None: not told.
        grown: by how much each counter has.
    """

    place: Place
    seconds: float
    stages: frozenset[str]
    cpu: float | None
    memory: float | None
    grown: Mapping[Key, float]

    def sum(self, *key: str) -> float:
        """Of the counters whose keys begin with this one."""
        return sum(by for each, by in self.grown.items() if each[: len(key)] == key)


@dataclass(slots=True)
class History:
    """All steps of all workers in the window; `providers`: what each expert ran on."""

    steps: list[Step] = field(default_factory=list)
    providers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass(slots=True)
class _Process:
    """The values of one process, by time. `at`: when each really was scraped."""

    at: dict[float, float] = field(default_factory=dict)
    cpu: dict[float, float] = field(default_factory=dict)
    memory: dict[float, float] = field(default_factory=dict)
    counters: dict[Key, dict[float, float]] = field(default_factory=dict)


def read(server: PrometheusServer, window: float) -> History:
    """The last `window` seconds. Raises `MetricsAway`."""
    step = max(1.0, window // _STEPS)

    def ask(query: str) -> Iterable[Series]:
        return server.history(query, window, step)

    processes: dict[Place, _Process] = {}
    for labels, values in ask("timestamp(densefusion_build_info)"):
        processes[_place(labels)] = _Process(at=values)
    for labels, values in ask(f"process_cpu_seconds_total {_OURS}"):
        _of(processes, labels).cpu = values
    for labels, values in ask(f"process_resident_memory_bytes {_OURS}"):
        _of(processes, labels).memory = values
    for name, query in _COUNTERS.items():
        for labels, values in ask(f"sum by (job, instance, {', '.join(_LABELS)}) ({query})"):
            key = (name, *(labels[each] for each in _LABELS if each in labels))
            _of(processes, labels).counters[key] = values
    history = History()
    for place, process in processes.items():
        history.steps.extend(_steps(place, process))
    for labels, _ in ask("densefusion_engine_info"):
        history.providers[labels.get("expert", "")].add(labels.get("provider", ""))
    return history


def _place(labels: Mapping[str, str]) -> Place:
    return labels.get("job", ""), labels.get("instance", "")


def _of(processes: dict[Place, _Process], labels: Mapping[str, str]) -> _Process:
    return processes.get(_place(labels), _Process())  # one that has just come is left out


def _steps(place: Place, process: _Process) -> Iterator[Step]:
    times = sorted(process.at)
    before = times[0] if times else 0.0
    for now in times[1:]:
        seconds = process.at[now] - process.at[before]
        if seconds <= 0:
            continue  # not scraped again since
        grown = {
            # A counter of a process that was there, and had none of it yet, was 0.
            key: values[now] - values.get(before, 0.0)
            for key, values in process.counters.items()
            if now in values
        }
        cpu = _grown(process.cpu, before, now)
        if (cpu or 0.0) >= 0 and all(by >= 0 for by in grown.values()):  # else it began anew
            stages = frozenset(key[1] for key in grown if key[0] == "done")
            yield Step(place, seconds, stages, cpu, process.memory.get(now), grown)
        before = now


def _grown(values: Mapping[float, float], before: float, now: float) -> float | None:
    return values[now] - values[before] if before in values and now in values else None
