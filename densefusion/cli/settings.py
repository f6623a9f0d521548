"""``densefusion settings``."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from densefusion.cli.app import app, load


@app.command()
def settings() -> None:
    """Print every setting: its variable, its value, what it means."""
    loaded = load()
    _section("", loaded)


def _section(prefix: str, section: BaseModel) -> None:
    parts = {name: value for name in type(section).model_fields
             if isinstance(value := getattr(section, name), BaseModel)}  # fmt: skip
    for name, info in type(section).model_fields.items():
        if name not in parts:
            _line(prefix + name, getattr(section, name), info.description)
    for name, part in parts.items():
        print(f"\n# {(type(part).__doc__ or '').strip()}")
        _section(f"{prefix}{name}__", part)


def _line(name: str, value: object, meaning: str | None) -> None:
    if isinstance(value, SecretStr):
        value = "(set)" if value.get_secret_value() else ""
    shown = "" if value is None else value
    print(f"DENSEFUSION_{name.upper()}={shown}  # {meaning or ''}")
