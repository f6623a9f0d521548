"""``densefusion replay rejects|dead-letters``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from densefusion.cli.app import DataDir, Json, app, load

if TYPE_CHECKING:
    from densefusion.replay import Kind, Report, Selection

group = typer.Typer(
    help="Put rejects or dead letters back where they came from.", no_args_is_help=True
)
app.add_typer(group, name="replay")

Stages = Annotated[
    list[str] | None, typer.Option("--stage", help="Only what this stage gave up. Repeatable.")
]
Since = Annotated[
    str | None, typer.Option(help="Only from then on: 2025-03-01T12:30 (UTC), or an age such as 6h")
]
Until = Annotated[str | None, typer.Option(help="Only from before then.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Put back so many at the most.")]
MaxAttempts = Annotated[
    int, typer.Option(min=2, help="Leave what has been tried so often, the first time included.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]


@group.command()
def rejects(
    reason: Annotated[
        list[str] | None,
        typer.Option(help="Only these: timeout, or a pattern such as 'http-5*'. Repeatable."),
    ] = None,
    stage: Stages = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    max_attempts: MaxAttempts = 3,
    dry_run: DryRun = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Put rejected records back on the topics that they came from, each once.

    Exit code 0: all that were selected are back. 1: some were left, at the cap of attempts or
    without a way back. 130: interrupted; what is back is back, and the same command goes on.
    """
    from densefusion.errors import SettingsError
    from densefusion.replay import Kind, Selection

    if not reason and not dry_run:
        raise SettingsError(
            "say which rejects: --reason timeout, --reason 'http-5*', --reason '*' for all; "
            "--dry-run shows the reasons that there are"
        )
    selection = Selection(
        reasons=reason or (),
        stages=stage or (),
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        limit=limit,
        max_attempts=max_attempts,
    )
    _replay(Kind.REJECTS, selection, data_dir, dry_run=dry_run, as_json=as_json)


@group.command("dead-letters")
def dead_letters(
    stage: Stages = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only what came from this topic. Repeatable.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    max_attempts: MaxAttempts = 3,
    dry_run: DryRun = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Put dead letters back on the topics that they came from, byte for byte, each once.

    Exit codes as of `replay rejects`.
    """
    from densefusion.replay import Kind, Selection

    selection = Selection(
        stages=stage or (),
        topics=topic or (),
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        limit=limit,
        max_attempts=max_attempts,
    )
    _replay(Kind.DEAD_LETTERS, selection, data_dir, dry_run=dry_run, as_json=as_json)


def _time(text: str | None, option: str) -> int | None:
    from densefusion.cli.times import milliseconds

    return None if text is None else milliseconds(text, option)


def _replay(
    kind: Kind, selection: Selection, data_dir: DataDir, *, dry_run: bool, as_json: bool
) -> None:
    from consumers.roster import log_id, make_codec, make_topics
    from densefusion.cli.connect import connected
    from densefusion.cli.replay_report import print_report, shown
    from densefusion.cli.signals import stop_on_signals
    from densefusion.replay import Claims, Replay
    from densefusion.store import ObjectStore
    from densefusion.topics import FETCHED, all_topics

    settings = connected(load(data_dir))
    found = make_topics(settings).verify(all_topics(settings.experts.roster))
    store = ObjectStore(settings.store)
    stop = threading.Event()
    replay = Replay(
        kind,
        selection,
        settings.kafka,
        found,
        make_codec(settings),
        Claims(store, found[FETCHED].name, log_id(found[FETCHED])),
        stopped=stop.is_set,
    )
    stop_on_signals(stop)
    try:
        with shown(kind) as progress:
            report: Report = replay.look(progress) if dry_run else replay.run(progress)
    finally:
        store.close()
    print_report(report, kind, dry_run=dry_run, as_json=as_json)
    if not report.complete:
        raise typer.Exit(130)
    if not report.all_back:
        raise typer.Exit(1)
