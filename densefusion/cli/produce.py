"""``densefusion produce SOURCE...``, and the publishing that ``run`` shares."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, app, load

if TYPE_CHECKING:
    from densefusion.settings import Settings
    from producers.columns import Columns
    from producers.sources import Source

Sources = Annotated[
    list[str],
    typer.Argument(
        help="Lists (Parquet, CSV, TSV, JSONL, text), folders of lists or of images, an image's "
        "URL, or - for standard input.",
        show_default=False,
    ),
]
Kind = Annotated[str | None, typer.Option(help="What a list is, where its name does not say.")]
UrlColumn = Annotated[str | None, typer.Option(help="Column of the URLs.")]
AltColumn = Annotated[str | None, typer.Option(help="Column of the alt texts.")]
PageColumn = Annotated[str | None, typer.Option(help="Column of the pages' URLs.")]


def opened(
    sources: list[str], kind: str | None, url: str | None, alt: str | None, page: str | None
) -> list[Source]:
    """Open every source, so that a wrong one is told before anything starts."""
    from producers.columns import Columns
    from producers.sources import open_source

    columns: Columns | None = Columns(url, alt, page) if url or alt or page else None
    found: list[Source] = []
    try:
        for each in sources:
            found.append(open_source(each, kind=kind, columns=columns))
    except BaseException:
        close(found)
        raise
    return found


def close(sources: list[Source]) -> None:
    for each in sources:
        each.close()


def publish_all(settings: Settings, sources: list[Source], run: str | None) -> int:
    """Publish every row of every source; how many there were."""
    from rich.console import Console

    from consumers.roster import make_codec
    from densefusion import clients, topics, tracing
    from producers.progress import shown
    from producers.publish import publish

    tracing.start(settings.tracing, "densefusion-produce")
    codec = make_codec(settings)
    producer = clients.producer(settings.kafka)
    total = 0
    try:
        for source in sources:
            print(source.says, file=sys.stderr)
            with shown(source, Console(stderr=True)) as progress:
                published = publish(
                    source.rows,
                    producer=producer,
                    topic=settings.kafka.prefix + topics.URLS,
                    codec=codec,
                    run=run,
                    progress=progress,
                )
            total += published.count
    finally:
        tracing.stop()
    return total


@app.command()
def produce(
    sources: Sources,
    kind: Kind = None,
    url_column: UrlColumn = None,
    alt_column: AltColumn = None,
    page_column: PageColumn = None,
    data_dir: DataDir = None,
) -> None:
    """Publish image URLs to a stream that runs (`densefusion up`, or your own Kafka).

    A folder of images is served on loopback until Ctrl-C; let fetching reach it with
    `densefusion up --allow-host 127.0.0.1:8791`.
    """
    from consumers.roster import make_topics
    from densefusion.cli.connect import connected
    from densefusion.cli.signals import stop_on_signals
    from densefusion.topics import URLS

    settings = connected(load(data_dir))
    make_topics(settings).verify([URLS])
    found = opened(sources, kind, url_column, alt_column, page_column)
    try:
        total = publish_all(settings, found, None)
        print(f"published {total:,} rows")
        serving = [f"127.0.0.1:{each.server.port}" for each in found if each.server is not None]
        if serving:
            hosts = " ".join(f"--allow-host {each}" for each in serving)
            print(f"serving images at {', '.join(serving)} until Ctrl-C; fetch reaches them where "
                  f"it was started with `densefusion up {hosts}`", flush=True)  # fmt: skip
            stop = threading.Event()
            stop_on_signals(stop)
            stop.wait()
    finally:
        close(found)
