"""The typer application, and what every command shares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import dotenv_values
from pydantic import ValidationError

from densefusion import __version__
from densefusion.errors import SettingsError
from densefusion.logs import set_up
from densefusion.redact import secrets
from densefusion.settings import Settings
from densefusion.settings_names import strangers

app = typer.Typer(
    name="densefusion",
    help="Image URLs in, hyper-detailed captions out: DenseFusion as a stream on Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # in "rich" a [default: ...] of ours would be markup, and vanish
    context_settings={"help_option_names": ["-h", "--help"]},
)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the embedded stack keeps its data. [default: ./densefusion-data]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def load(data_dir: Path | None = None, **changes: dict[str, Any]) -> Settings:
    """The settings, with options of the command line over the environment.

    Args:
        changes: for a part of the settings, the fields to change; None leaves one as it is.

    Raises:
        SettingsError: one does not hold, or there is none of the name; the message names the
            variable.
    """
    if wrong := strangers([*os.environ, *dotenv_values(".env")]):
        raise SettingsError("; ".join(wrong))
    try:
        settings = Settings()
        if data_dir is not None:
            settings.data_dir = data_dir
        for part, fields in changes.items():
            given = {name: value for name, value in fields.items() if value is not None}
            model = getattr(settings, part)
            checked = type(model).model_validate(model.model_dump() | given)
            setattr(settings, part, checked)
    except ValidationError as error:
        raise SettingsError(_said(error)) from error
    log = settings.log
    set_up(log.level, log.format, secrets=secrets(settings), summary_seconds=log.summary_seconds)
    return settings


def _said(error: ValidationError) -> str:
    lines = []
    for each in error.errors(include_input=False):
        name = "__".join(str(part) for part in each["loc"]).upper()
        lines.append(f"DENSEFUSION_{name}: {each['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
