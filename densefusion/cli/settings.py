"""``densefusion settings``."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from densefusion.cli.app import app, load


@app.command()
def settings() -> None:
    """Print every setting: its variable, its value, what it means."""
    loaded = load()
    for name, info in type(loaded).model_fields.items():
        value = getattr(loaded, name)
        if isinstance(value, BaseModel):
            print(f"\n# {(type(value).__doc__ or '').strip()}")
            for field, about in type(value).model_fields.items():
                _line(f"{name}__{field}", getattr(value, field), about.description)
        else:
            _line(name, value, info.description)


def _line(name: str, value: object, meaning: str | None) -> None:
    if isinstance(value, SecretStr):
        value = "(set)" if value.get_secret_value() else ""
    shown = "" if value is None else value
    print(f"DENSEFUSION_{name.upper()}={shown}  # {meaning or ''}")
