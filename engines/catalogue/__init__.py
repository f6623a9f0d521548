"""The catalogue of models: declared in TOML, read here, found on disk by `locate`.

Two profiles: ``starter`` runs from what is installed, ``full`` is fetched from a hub.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from engines.catalogue.locate import locate, models_folder, set_models_folder
from engines.catalogue.model import (
    Bundled,
    Folder,
    Hub,
    Model,
    Package,
    Port,
    Profile,
    Range,
    Source,
    Task,
    parse_source,
)
from engines.errors import EngineError

__all__ = [
    "Bundled",
    "Folder",
    "Hub",
    "Model",
    "Package",
    "Port",
    "Profile",
    "Range",
    "Source",
    "Task",
    "catalogue",
    "configure",
    "locate",
    "models_folder",
    "read",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_KEYS = {"task", "version", "source", "licence", "inputs", "outputs", "prepare", "finish"}
_OPTIONAL = {"sha256", "axes", "export", "views"}


_extra: list[Path] = []


def configure(*, extra: Path | None = None, folder: Path | None = None) -> None:
    """For this process.

    Args:
        extra: a TOML file of the user's; an entry there replaces one of ours of the same name.
        folder: where models from a hub are kept.
    """
    _extra[:] = [] if extra is None else [extra]
    set_models_folder(folder)


def catalogue() -> Mapping[str, Model]:
    """Every model by its name.

    Raises:
        EngineError: a file does not hold what it should.
    """
    found = dict(_ours())
    for path in _extra:
        found |= read(path, "full")
    return found


@cache
def _ours() -> Mapping[str, Model]:
    here = Path(__file__).parent
    found: dict[str, Model] = {}
    for profile in get_args(Profile):
        found |= read(here / f"{profile}.toml", profile)
    return found


def read(path: Path, profile: Profile) -> dict[str, Model]:
    """The models that one file declares. Raises `EngineError`, which names file and entry."""
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EngineError(f"catalogue {path}: {error}") from error
    found = {}
    for name, entry in entries.items():
        try:
            found[name] = _model(name, profile, entry)
        except (EngineError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(f"catalogue {path}, {name}: {error}") from error
    return found


def _model(name: str, profile: Profile, entry: Mapping[str, Any]) -> Model:
    if not _NAME.fullmatch(name):
        raise EngineError("a name is letters, digits, dots and dashes")
    if missing := sorted(_KEYS - entry.keys()):
        raise EngineError(f"without {', '.join(missing)}")
    if unknown := sorted(entry.keys() - _KEYS - _OPTIONAL):
        raise EngineError(f"unknown {', '.join(unknown)}")
    if entry["task"] not in get_args(Task):
        raise EngineError(f"no such task: {entry['task']}")
    axes = {axis: Range(*bounds) for axis, bounds in entry.get("axes", {}).items()}
    inputs = tuple(Port.parse(port, text, axes) for port, text in entry["inputs"].items())
    for port in inputs:
        port.at("max")  # every axis of an input has bounds
    return Model(
        name=name,
        profile=profile,
        task=entry["task"],
        version=entry["version"],
        source=parse_source(entry["source"]),
        licence=entry["licence"],
        sha256=entry.get("sha256"),
        inputs=inputs,
        outputs=tuple(Port.parse(port, text, {}) for port, text in entry["outputs"].items()),
        prepare=entry["prepare"],
        finish=entry["finish"],
        export=entry.get("export"),
        views=entry.get("views", 1),
    )
