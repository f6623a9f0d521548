"""The figures that a plan is made from: ``costs.toml``, each with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from densefusion.errors import SettingsError

Kind = Literal["measured", "published", "assumed", "given"]
_KINDS = ("measured", "published", "assumed")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and where it comes from. `kind` "given": by the user, on the command line."""

    value: float
    kind: Kind
    source: str


@dataclass(slots=True)
class Costs:
    """All figures by their place in the file, such as ``stages.ocr.cpu_ms``.

    Attributes:
        flags: what is no figure: ``stages.ocr.expert``, ``stages.ocr.gpu_of_rate``.
        used: figures that were asked for; a plan prints those that nobody measured here.
    """

    figures: dict[str, Figure]
    flags: dict[str, Any]
    used: dict[str, Figure] = field(default_factory=dict)

    def __call__(self, name: str) -> float:
        """A figure's value.

        Raises:
            SettingsError: there is none of this name.
        """
        figure = self.figures.get(name)
        if figure is None:
            raise SettingsError(f"no figure {name}: give it in a file (--costs)")
        self.used[name] = figure
        return figure.value

    def get(self, name: str) -> float | None:
        return self(name) if name in self.figures else None

    def give(self, name: str, value: float, source: str) -> None:
        """Put the user's own in a figure's place."""
        self.figures[name] = Figure(value, "given", source)

    def experts(self) -> list[str]:
        """Stages that are experts, in the file's order."""
        return [
            name.split(".")[1]
            for name, flag in self.flags.items()
            if name.startswith("stages.") and name.endswith(".expert") and flag
        ]

    def gpus(self) -> list[str]:
        """Kinds of GPU that a plan can be made for."""
        return [name.split(".")[1] for name in self.figures if name.endswith(".tflops")]


def load(over: Path | None = None, measured: Mapping[str, Figure] | None = None) -> Costs:
    """The package's figures; over them those that were `measured`; over all those of a file.

    Raises:
        SettingsError: the file is not there, no TOML, or of another form; the message says where.
    """
    found = tomllib.loads(resources.files(__package__).joinpath("costs.toml").read_text("utf-8"))
    costs = Costs({}, {})
    _collect(costs, found, dict(found["sources"]), "costs.toml")
    costs.figures |= measured or {}
    if over is not None:
        try:
            own = tomllib.loads(over.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{over}: {error}") from error
        _collect(costs, own, found["sources"] | own.get("sources", {}), str(over))
    return costs


def _collect(costs: Costs, found: Mapping[str, Any], sources: Mapping[str, Any], file: str) -> None:
    for table, value in found.items():
        if table != "sources":
            _walk(costs, table, value, sources, file)


def _walk(costs: Costs, name: str, value: Any, sources: Mapping[str, Any], file: str) -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            _walk(costs, f"{name}.{key}", each, sources, file)
    elif isinstance(value, list):
        costs.figures[name] = _figure(name, value, sources, file)
    else:
        costs.flags[name] = value


def _figure(name: str, value: list[Any], sources: Mapping[str, Any], file: str) -> Figure:
    match value:
        case [bool(), _] | [_, bool()]:
            pass
        case [int() | float() as number, str() as source] if number >= 0:
            about = sources.get(source)
            if not isinstance(about, dict) or about.get("kind") not in _KINDS:
                raise SettingsError(f"{file}: {name}: no source {source} with a kind and a text")
            return Figure(float(number), about["kind"], str(about.get("text", source)))
    raise SettingsError(f'{file}: {name}: write [number, "source"], the number not negative')
