"""Whether the command line knows a command: parsed by the real one, and not run."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import typer.main

import densefusion.cli
from densefusion.cli.app import app


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The command's name ("engines build") and what its options came to.

    Raises:
        Exception: click's own: there is no such command or option, or a value is of a wrong kind.
    """
    command = _root()
    name, rest, context, path = "densefusion", list(arguments), None, []
    while True:
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return " ".join(path), context.params
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        path.append(name)


@cache
def _root() -> Any:
    # Each module of the command line adds its own commands.
    for module in pkgutil.iter_modules(densefusion.cli.__path__):
        import_module(f"densefusion.cli.{module.name}")
    return typer.main.get_command(app)


def environment_fields() -> set[str]:
    """Every DENSEFUSION_* variable that there is a setting for."""
    from pydantic import BaseModel

    from densefusion.settings import Settings

    def names(model: type[BaseModel], prefix: str) -> set[str]:
        found = set()
        for field, info in model.model_fields.items():
            kind = info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= names(kind, f"{prefix}{field.upper()}__")
            else:
                found.add(f"{prefix}{field.upper()}")
        return found

    return names(Settings, "DENSEFUSION_")
