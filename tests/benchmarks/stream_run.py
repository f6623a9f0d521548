"""The stream under the clock: what `densefusion run` does, with the workers up and warm before."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpu_times import cpu_times

from consumers.roster import make_codec
from densefusion.cli.app import load
from densefusion.cli.pipeline import Pipeline, pipeline
from densefusion.cli.produce import publish_all
from densefusion.dataset import export
from densefusion.ledger import Counts, Ledger
from producers.sources import Source, open_source

_PATIENCE = 300.0  # seconds without any progress


@dataclass(slots=True)
class StreamRun:
    """Wall seconds until the last caption was published, and until the last one was stored.

    `cpu` is in seconds, by process; `captions` by file name.
    """

    captioned: float
    stored: float
    cpu: dict[str, float]
    captions: dict[str, str]


def run(
    pictures: Path, warm: Path, data: Path, *, ocr_side: int, workers: dict[str, int]
) -> StreamRun:
    """Caption the list in `pictures`, after that in `warm`; the stack's data go to `data`.

    Args:
        workers: processes of a stage, where it is not one.

    Raises:
        RuntimeError: not every picture got a caption, or nothing moves any more.
    """
    lists = [open_source(warm), open_source(pictures)]
    try:
        settings = load(data, experts={"ocr_max_side": ocr_side})
        settings.log.level = "warning"
        hosts = [f"127.0.0.1:{each.server.port}" for each in lists if each.server is not None]
        settings.fetch.allow_hosts = [*settings.fetch.allow_hosts, *hosts]
        with pipeline(settings, workers, durable=False) as running:
            _captioned(running, lists[0])
            before = cpu_times()
            captioned, stored = _captioned(running, lists[1])
            after = cpu_times()
            export(running.settings.store, data / "out")
    finally:
        for each in lists:
            each.close()
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    cpu = {name: seconds for name, seconds in spent.items() if seconds > 0}
    return StreamRun(captioned, stored, cpu, _captions(data / "out" / "captions.jsonl"))


def _captioned(running: Pipeline, source: Source) -> tuple[float, float]:
    """Publish the source; seconds until its last caption, and until that is stored."""
    settings = running.settings
    identity = uuid.uuid4().hex
    ledger = Ledger(settings.kafka, identity, running.topics, make_codec(settings))
    try:
        started = time.monotonic()
        urls = publish_all(settings, [source], identity)
        _wait(running, ledger, lambda counts: counts.ended >= urls)
        captioned = time.monotonic() - started
        _wait(running, ledger, lambda _: ledger.stored())
        stored = time.monotonic() - started
    finally:
        ledger.close()
    if ledger.counts.captions != urls:
        raise RuntimeError(f"{urls} pictures, but {ledger.counts}")
    return captioned, stored


def _wait(running: Pipeline, ledger: Ledger, done: Callable[[Counts], bool]) -> None:
    moved, seen = time.monotonic(), 0
    while not done(ledger.read(0.1)):
        running.check()
        if (now := ledger.counts.seen.total()) != seen:
            moved, seen = time.monotonic(), now
        elif time.monotonic() - moved > _PATIENCE:
            raise RuntimeError(f"nothing has moved for {_PATIENCE:.0f} s: {ledger.counts}")


def _captions(file: Path) -> dict[str, str]:
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["url"].rpartition("/")[2]: row["caption"] for row in rows}
