"""A bound on what a picture's header may cost to read.

Pillow walks over a header in Python, a few bytes at a time: 30 MB of empty JPEG segments, or of
padding, keep it busy for half a minute and fill a gigabyte, before any pixel is looked at.
"""

from __future__ import annotations

from io import BytesIO

# A JPEG of 32 MB whose every segment holds all it can makes 2,000 reads; a camera's, 100.
_MAX_READS = 50_000


class TooManyReads(Exception):
    """A header of more parts than any honest one has."""


class HeaderReader(BytesIO):
    """The bytes of a picture, for `PIL.Image.open`. Call `opened` once that is done.

    `read` raises `TooManyReads` when the header takes more reads than any honest one does.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left: float = _MAX_READS

    def opened(self) -> None:
        """From here on, reads are not counted."""
        self._left = float("inf")

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise TooManyReads(f"header takes more than {_MAX_READS} reads")
        return super().read(size)
