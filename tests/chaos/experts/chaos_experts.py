"""Experts that cost next to nothing, and whose findings are known beforehand.

One follows another's topic, the way an open-vocabulary detector would follow the tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from consumers.expert import Findings, Sighting
from densefusion.settings import Experts
from tests.chaos import pictures


class _Cheap:
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = None
    model = "arithmetic"
    model_version = "1"

    def __init__(self, settings: Experts) -> None: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Number(_Cheap):
    """The number that the tiles spell."""

    name: ClassVar[str] = "number"
    title: ClassVar[str] = "Number"

    @staticmethod
    def schema() -> dict[str, Any]:
        return _record("Number", {"number": "long"})

    async def find(self, sighting: Sighting) -> Findings:
        assert sighting.pixels is not None
        return {"number": pictures.read(sighting.pixels)}

    def describe(self, findings: Mapping[str, Any]) -> Sequence[str]:
        return [f"the number {findings['number']}"]


class Size(_Cheap):
    """The picture's size, as the image's record has it: it looks at no pixels."""

    name: ClassVar[str] = "size"
    title: ClassVar[str] = "Size"
    pixels: ClassVar[int | None] = 0

    @staticmethod
    def schema() -> dict[str, Any]:
        return _record("Size", {"width": "int", "height": "int"})

    async def find(self, sighting: Sighting) -> Findings:
        return {name: sighting.image[name] for name in ("width", "height")}

    def describe(self, findings: Mapping[str, Any]) -> Sequence[str]:
        return [f"{findings['width']} x {findings['height']} pixels"]


class Digits(_Cheap):
    """The number's digits, from what the expert `number` found."""

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "Digits"
    follows: ClassVar[str] = "priors.number"
    pixels: ClassVar[int | None] = 0

    @staticmethod
    def schema() -> dict[str, Any]:
        return _record("Digits", {"digits": {"type": "array", "items": "int"}})

    async def find(self, sighting: Sighting) -> Findings:
        assert sighting.prior is not None
        return {"digits": [int(digit) for digit in str(sighting.prior["findings"]["number"])]}

    def describe(self, findings: Mapping[str, Any]) -> Sequence[str]:
        return ["digits " + " ".join(map(str, findings["digits"]))]


def _record(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "record", "name": name, "namespace": "chaos",
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }  # fmt: skip
