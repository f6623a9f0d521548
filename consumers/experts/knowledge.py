"""The expert on what the web says about a picture: the paper's world knowledge (section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from consumers.expert import Findings, Sighting
from consumers.knowledge.sources import candidates
from consumers.knowledge.statements import merge
from densefusion.settings import Experts
from schemas import findings_schema


class Knowledge:
    """Statements from alternative text, page and embedded metadata. See `consumers.expert.Expert`.

    It looks at no pixels and runs no model: `model_version` counts changes of the cleaning rules.
    """

    name: ClassVar[str] = "knowledge"
    title: ClassVar[str] = "World Knowledge"
    follows: ClassVar[str] = "images"
    pixels: ClassVar[int | None] = 0

    def __init__(self, settings: Experts) -> None:
        self.model = "text-rules"
        self.model_version = "1"

    @staticmethod
    def schema() -> dict[str, Any]:
        return findings_schema("knowledge")

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def find(self, sighting: Sighting) -> Findings:
        """At most `MAX_STATEMENTS` statements; none is an answer too."""
        return {"statements": merge(s for s in candidates(sighting.image) if s["text"])}

    def describe(self, findings: Mapping[str, Any]) -> list[str]:
        """One line for each statement."""
        return [statement["text"] for statement in findings["statements"]]
