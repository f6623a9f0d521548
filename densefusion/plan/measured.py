"""The figures that the workers' own metrics tell, and those that they do not.

A figure is taken where the metrics mean the same as it does, and enough went through the stage;
else it is left as it is, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from densefusion.errors import SettingsError
from densefusion.plan.costs import Costs, Figure
from densefusion.plan.history import History, Step, read
from densefusion.plan.workers import stage_names
from densefusion.status.scrape import PrometheusServer

_FEWEST = 50  # records: fewer tell no figure
_AT_WORK = 0.9  # of a step, with something in work: the worker is held to be fully used
_A_CORE = 0.9  # so much of one is one
_IDLE_SECONDS = 30.0
_PACE = "no worker of it was at work for long"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 31 * 86_400


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        where: the server and the window, as a source says it.
        found: by a figure's name, its value, and from what.
        missing: by a figure's name, why the metrics do not tell it.
    """

    where: str
    found: dict[str, tuple[float, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, Figure]:
        """To be laid over the package's."""
        return {
            name: Figure(value, "measured", f"{self.where}: {why}")
            for name, (value, why) in self.found.items()
        }


def seconds_of(window: str) -> float:
    """Of a time span as Prometheus writes it, such as 30m, 1h or 2d.

    Raises:
        SettingsError: it is none, or longer than 31 days.
    """
    given = re.fullmatch(r"([1-9]\d{0,6})([smhd])", window)
    seconds = int(given[1]) * _UNITS[given[2]] if given else 0
    if not 2 <= seconds <= _LONGEST:
        raise SettingsError(f"--window {window}: say 30m, 1h or 2d; at most 31d")
    return float(seconds)


def survey(url: str, window: str, costs: Costs) -> Survey:
    """Ask a Prometheus server what the workers that it scrapes did.

    Args:
        costs: says which stages there are.

    Raises:
        MetricsAway: it does not answer as it should.
        SettingsError: it has no metrics of workers in the window.
    """
    seconds = seconds_of(window)
    if not url.startswith(("http://", "https://")):
        raise SettingsError("--prometheus: not an http(s) URL")
    server = PrometheusServer(url)
    history = read(server, seconds)
    if not history.steps:
        raise SettingsError(
            f"Prometheus at {server.url} has no metrics of this project's workers in the last "
            f"{window}: does it scrape them (two times at least), and did they run then?"
        )
    until = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return told(history, costs, f"Prometheus at {server.url}, {window} until {until}")


def told(history: History, costs: Costs, where: str) -> Survey:
    """What a history tells."""
    found = Survey(where)
    by_server = _captions(found, history.steps)
    _pictures(found, history.steps)
    for stage in stage_names(costs):
        _stage(found, stage, history, by_server)
    return found


def _pictures(found: Survey, steps: Sequence[Step]) -> None:
    urls, pictures = _total(steps, "urls"), _total(steps, "pictures")
    _put(found, "stages.fetch.seconds_per_url", _total(steps, "url_seconds"), urls, "URLs")
    _put(
        found, "images.kb", _total(steps, "picture_bytes") / 1000, pictures,
        "pictures, those too that were rejected later",
    )  # fmt: skip
    for name, stage, topic, what in (
        ("images.fetched_share", "fetch", "fetched", "URLs"),
        ("images.kept_share", "curate", "images", "pictures"),
    ):
        out = {topic: by for topic, by in _by_topic(steps, stage)}
        kept = sum(by for each, by in out.items() if each.endswith(topic))  # after a prefix
        _put(found, name, kept, sum(out.values()), what)


def _by_topic(steps: Sequence[Step], stage: str) -> Iterator[tuple[str, float]]:
    topics = {key[2] for step in steps for key in step.grown if key[:2] == ("out", stage)}
    for topic in sorted(topics):
        yield topic, _total(steps, "out", stage, topic)


def _captions(found: Survey, steps: Sequence[Step]) -> bool | None:
    """Whether a caption server wrote the captions; None: not all of them."""
    composed = _total(steps, "captions", "compose")
    served = _total(steps, "captions") - composed
    for name, counter in (
        ("stages.fusion.caption_seconds", "caption_seconds"),
        ("captions.tokens_out", "tokens"),
    ):
        if not served:
            found.missing[name] = "no caption server wrote captions"
            continue
        total = _total(steps, counter) - _total(steps, counter, "compose")
        _put(found, name, total, served, "captions of a server")
    return None if served and composed else bool(served)


def _stage(found: Survey, stage: str, history: History, by_server: bool | None) -> None:
    providers = history.providers.get(stage, set()) - {"none"}
    on_gpu = bool(providers) and "cpu" not in providers
    cpu_ms, rate, memory = (
        f"stages.{stage}.{name}"
        for name in ("host_ms" if on_gpu else "cpu_ms", "rate", "memory_mb")
    )
    alone = [step for step in history.steps if step.stages == {stage}]
    records = [step for step in alone if step.sum("done", stage)]
    if (reason := _unclear(stage, history, alone, providers, by_server)) is not None:
        found.missing |= dict.fromkeys((cpu_ms, memory), reason)
        return
    busy = [step for step in records if step.sum("idle", stage) <= (1 - _AT_WORK) * step.seconds]
    at_work = _total(busy, "done", stage) >= _FEWEST
    used = busy if at_work else records
    done = _total(used, "done", stage)
    cpu, idle = sum(step.cpu or 0.0 for step in used), None
    if not at_work and (idle := _idle_cores(alone, stage)) is not None:
        cpu -= idle * _total(used, "idle", stage)
    seconds = sum(step.seconds for step in used)
    if done < _FEWEST:
        reason = f"only {done:,.0f} records went through, and {_FEWEST} are the fewest"
        found.missing |= dict.fromkeys((cpu_ms, memory), reason)
        return
    if any(step.cpu is None for step in used):
        found.missing[cpu_ms] = "its workers do not tell their CPU time (they do on Linux)"
    elif cpu <= 0:
        found.missing[cpu_ms] = "no more CPU time than it takes when idle"
    else:
        said = _said(used, done, seconds) + (
            f" at work, with {cpu / seconds:.2f} cores" if at_work
            else ", seldom at work: its idle CPU "
            + ("is in it" if idle is None else f"({idle:.2g} cores) is taken off")
        )  # fmt: skip
        if stage == "dataset":
            said += "; rewriting shards is in it, and the plan adds that again"
        found.found[cpu_ms] = 1000 * cpu / done, said
    if not at_work:
        found.missing[memory] = _PACE
    elif peak := max(step.memory or 0.0 for step in alone):
        found.found[memory] = peak / 1e6, "the most of a worker"
    else:
        found.missing[memory] = "its workers do not tell their memory (they do on Linux)"
    if stage == "fusion" and by_server and cpu_ms in found.found:
        found.found["stages.fusion.picture_ms"] = 0.0, "it is in cpu_ms"
    if on_gpu and at_work:
        found.missing[f"stages.{stage}.gpu_rate"] = (
            f"the metrics do not say what kind of GPU it was; a worker did {done / seconds:.3g}/s: "
            f"if it had one to itself, --gpu-images-per-second {stage}={done / seconds:.3g}"
        )
    # Fetch, dataset and a caption server's fusion wait by design; the plan counts for what.
    if not on_gpu and stage not in ("fetch", "dataset") and not (stage == "fusion" and by_server):
        reason = (
            _PACE if not at_work
            else found.missing.get(cpu_ms)
            or _held_up(cpu, seconds, _total(used, "model", stage))
        )  # fmt: skip
        if reason is not None:
            found.missing[rate] = reason
        else:
            found.found[rate] = done / seconds, _said(used, done, seconds) + " at work"


def _idle_cores(steps: Sequence[Step], stage: str) -> float | None:
    """What a process takes when nothing is to be done; None: it was not seen so for long."""
    idle = [
        step for step in steps
        if not step.sum("done", stage) and step.sum("idle", stage) >= _AT_WORK * step.seconds
    ]  # fmt: skip
    seconds = sum(step.seconds for step in idle)
    return sum(step.cpu or 0.0 for step in idle) / seconds if seconds >= _IDLE_SECONDS else None


def _unclear(
    stage: str, history: History, alone: Sequence[Step], providers: set[str], by_server: bool | None
) -> str | None:
    """Why nothing of it can be told."""
    if not alone:
        shared = any(stage in step.stages for step in history.steps)
        return "its process runs other stages, too" if shared else "no worker of it was seen"
    if len(providers) > 1:
        return f"it ran on {' and '.join(sorted(providers))}: not told apart"
    if stage == "fusion" and by_server is None:
        return "some captions were composed, some of a server: not told apart"
    return None


def _held_up(cpu: float, seconds: float, model: float) -> str | None:
    """Why a worker's pace was not its own. A model on the CPU needs nothing but a core: where the
    whole process got less than the model's time of one, others had it."""
    if cpu >= _A_CORE * seconds:
        return None
    if not model:
        return "less than a core at work: whether for want of one, the metrics do not tell"
    return (
        "others had its core: its model took longer than its CPU time"
        if (cpu < _A_CORE * model)
        else None
    )  # it waited for something else, such as the store, and so it will


def _said(steps: Sequence[Step], records: float, seconds: float) -> str:
    workers = len({step.place for step in steps})
    return f"{workers} worker{'s' * (workers != 1)}, {records:,.0f} records in {seconds:,.0f} s"


def _put(found: Survey, name: str, total: float, count: float, what: str) -> None:
    if count < _FEWEST:
        found.missing[name] = f"only {count:,.0f} {what}, and {_FEWEST} are the fewest"
    elif not total:
        found.missing[name] = f"0 of {count:,.0f} {what}"
    else:
        found.found[name] = total / count, f"{count:,.0f} {what}"


def _total(steps: Sequence[Step], *key: str) -> float:
    return sum(step.sum(*key) for step in steps)
