"""The exceptions of the engines.

EngineError          a model, a provider or a library of the engines cannot do what it was asked
└── ImageError       these bytes are no picture that we take; the bytes are at fault
"""

from __future__ import annotations


class EngineError(Exception):
    """Root of what this room raises."""


class ImageError(EngineError):
    """Bytes that cannot be decoded into an image.

    `reason` is a code: ``not-an-image`` (no format that we read), ``broken-image`` (its header or
    its data cannot be decoded), ``too-many-pixels`` (its header claims more than is allowed).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
