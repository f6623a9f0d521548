"""The interface of a caption engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(slots=True, frozen=True)
class CaptionTask:
    """One image to caption.

    Attributes:
        image: the `Image` record: size, alt text, and so on.
        prompt: instruction and external information, for a model.
        priors: for each expert that answered, its decoded `Prior` record (``findings`` inside).
        load: fetches the image's bytes; an engine that looks at none never calls it.
    """

    image: Mapping[str, Any]
    prompt: str
    priors: Mapping[str, Mapping[str, Any]]
    load: Callable[[], Awaitable[bytes]]


@dataclass(slots=True, frozen=True)
class Captioned:
    """A caption and what it cost. `finish` is ``length`` where the token limit cut it.

    `price` is in US dollars, `seconds` in the engine, retries included.
    """

    text: str
    seconds: float
    finish: Literal["stop", "length"] = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    price: float | None = None


class Refused(Exception):
    """The model would not, or could not, caption this image. The image is at fault, not the server.

    `reason` is a code: ``caption-refused`` (model's or filter's refusal), ``caption-empty``,
    ``caption-invalid`` (the server cannot take this request).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail


class Unavailable(Exception):
    """The caption server is down, or refuses us, after bounded retries."""


class CaptionEngine(Protocol):
    """Turns tasks into captions; serves many at the same time.

    Attributes:
        name: as written into the record: ``compose``, ``openai:<model>``.
        saw_image: whether a model sees the pixels.
    """

    name: str
    saw_image: bool

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def caption(self, task: CaptionTask) -> Captioned:
        """Raises `Refused` for this image's fault, `Unavailable` for the server's."""
