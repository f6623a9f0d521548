"""``densefusion settings``."""

from __future__ import annotations

import json
import re
import shlex

from pydantic import BaseModel, SecretStr

from densefusion.cli.app import app, load
from densefusion.redact import Redact, secrets

_SHELL = re.compile(r"[^\w@%+=:,./*-]")  # what a shell may take for something else


@app.command()
def settings() -> None:
    """Print every setting: its variable, its value, what it means; no secret's."""
    loaded = load()
    _section("", loaded, Redact(secrets(loaded)))


def _section(prefix: str, section: BaseModel, redact: Redact) -> None:
    parts = {name: value for name in type(section).model_fields
             if isinstance(value := getattr(section, name), BaseModel)}  # fmt: skip
    for name, info in type(section).model_fields.items():
        if name not in parts:
            _line(prefix + name, getattr(section, name), info.description, redact)
    for name, part in parts.items():
        print(f"\n# {' '.join((type(part).__doc__ or '').split())}")
        _section(f"{prefix}{name}__", part, redact)


def _line(name: str, value: object, meaning: str | None, redact: Redact) -> None:
    """As a line for a shell or a ``.env`` file; what is not set, or secret, as a comment."""
    note = "# "
    match value:
        case None:
            shown = ""
        case SecretStr():
            shown = "(set)" if value.get_secret_value() else ""
        case dict():
            shown = json.dumps(dict.fromkeys(value, "(set)"))
        case _:
            note, shown = "", ",".join(value) if isinstance(value, list) else str(value)
            shown = shown.lower() if isinstance(value, bool) else shown
            shown = redact(shown)  # a URL may hold a password
            shown = shlex.quote(shown) if _SHELL.search(shown) else shown
    print(f"{note}DENSEFUSION_{name.upper()}={shown}  # {meaning or ''}")
