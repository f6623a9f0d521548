"""``densefusion run SOURCE...``: everything, from a list of URLs to a dataset."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, Json, app, load
from densefusion.cli.produce import AltColumn, Kind, PageColumn, Sources, UrlColumn

if TYPE_CHECKING:
    from densefusion.cli.pipeline import Pipeline
    from densefusion.ledger import Counts, Ledger
    from producers.sources import Source

_STORED_SECONDS = 60.0


@dataclass(slots=True)
class Result:
    """What became of a run."""

    urls: int
    counts: Counts
    seconds: float
    dataset: str
    out: Path | None
    complete: bool

    @property
    def good(self) -> bool:
        """Every URL ended in a caption or a reject, and all of it is stored."""
        return self.complete and self.counts.captions + self.counts.rejects == self.urls


@app.command()
def run(
    sources: Sources,
    out: Annotated[
        Path | None, typer.Option(help="Also leave the dataset here, as Parquet and JSON lines.")
    ] = None,
    as_json: Json = False,
    kind: Kind = None,
    url_column: UrlColumn = None,
    alt_column: AltColumn = None,
    page_column: PageColumn = None,
    min_short_edge: Annotated[
        int | None, typer.Option(help="Pixels; a smaller picture is a reject. [default: 448]")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host (or host:port) that may be at a private address.")
    ] = None,
    workers: Annotated[
        list[str] | None, typer.Option(help="STAGE=NUMBER of worker processes.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Caption every image of the sources; wait until each is accounted for; say what became of it.

    Exit code 0: every URL ended in a caption or a reject. 1: some did not. Interrupted, it leaves
    nothing broken: run it again with the same data folder and it goes on.
    """
    from densefusion.cli.pipeline import counts, pipeline
    from densefusion.cli.produce import close, opened
    from densefusion.cli.report import print_result
    from densefusion.cli.signals import stop_on_signals

    found = opened(sources, kind, url_column, alt_column, page_column)
    try:
        settings = load(data_dir, fetch={"min_short_edge": min_short_edge})
        served = [f"127.0.0.1:{each.server.port}" for each in found if each.server is not None]
        settings.fetch.allow_hosts = [*settings.fetch.allow_hosts, *(allow_host or []), *served]
        stop = threading.Event()
        stop_on_signals(stop, at_once=True)
        with pipeline(settings, counts(workers or []), durable=False) as running:
            result = _follow(running, found, stop, out)
    finally:
        close(found)
    print_result(result, as_json=as_json)
    if stop.is_set():
        raise typer.Exit(130)
    if not result.good:
        raise typer.Exit(1)


def _follow(
    running: Pipeline, sources: list[Source], stop: threading.Event, out: Path | None
) -> Result:
    from consumers.roster import make_codec
    from densefusion.cli.produce import publish_all
    from densefusion.cli.report import Live
    from densefusion.cli.signals import stop_on_signals
    from densefusion.ledger import Ledger
    from densefusion.resume import finished

    settings = running.settings
    identity = uuid.uuid4().hex
    ledger = Ledger(settings.kafka, identity, running.topics, make_codec(settings))
    try:
        started = time.monotonic()
        urls = publish_all(settings, sources, identity)
        stop_on_signals(stop)
        with Live(urls, settings.experts.roster) as live:
            while not stop.is_set() and ledger.counts.ended < urls:
                live.show(ledger.read(0.25))
                running.check()
            complete = not stop.is_set() and _stored(ledger, running, stop)
            live.show(ledger.counts)
        seconds = time.monotonic() - started
    finally:
        ledger.close()
    if complete and settings.kafka.volatile:
        finished(settings.store)
    if out is not None and complete:
        from densefusion.dataset import export

        export(settings.store, out)
    where = f"s3://{settings.store.bucket}/dataset"
    if running.stack is not None:
        where += f" (embedded store in {settings.data_dir}; see `densefusion dataset show`)"
    return Result(urls, ledger.counts, seconds, where, out if complete else None, complete)


def _stored(ledger: Ledger, running: Pipeline, stop: threading.Event) -> bool:
    """Wait until the last rows are in the bucket."""
    until = time.monotonic() + _STORED_SECONDS
    while time.monotonic() < until and not stop.is_set():
        if ledger.stored():
            return True
        running.check()
        ledger.read(0.2)
    print("the dataset is not complete yet: the last rows are not stored", file=sys.stderr)
    return False


def as_object(result: Result) -> str:
    """The result as one JSON object."""
    counts = result.counts
    return json.dumps(
        {
            "urls": result.urls,
            "captions": counts.captions,
            "rejects": counts.rejects,
            "dead_letters": counts.dead_letters,
            "seconds": round(result.seconds, 3),
            "dataset": str(result.out.resolve()) if result.out else result.dataset,
            "rejects_by_reason": dict(counts.reasons.most_common()),
            "records_by_topic": dict(counts.seen),
            "complete": result.complete,
        }
    )
