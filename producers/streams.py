"""Bytes of a list: decompression, a look at the head without consuming it, bounded lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, cast

import pyarrow as pa

LINE_BYTES = 1 << 20
HEAD_BYTES = 64 << 10
COMPRESSED = (".gz", ".bz2", ".zst", ".xz")

_BUFFER = 256 << 10
_MAGIC_BYTES = 6
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Meter:
    """How many bytes of the files (as they lie, compressed) have been read so far."""

    done: int = 0


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line longer than `LINE_BYTES`; only its beginning is kept."""

    head: bytes


class _Metered(io.RawIOBase):
    def __init__(self, inner: IO[bytes], meter: Meter) -> None:
        # A buffered stream's own `readinto` would wait until a pipe has filled the whole buffer.
        self._read = getattr(inner, "readinto1", None) or inner.readinto  # type: ignore[attr-defined]
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = int(self._read(buffer))
        self._meter.done += count
        return count


class _Rejoined(io.RawIOBase):
    """A head that was read already, then the rest."""

    def __init__(self, head: bytes, rest: io.BufferedReader) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._head:
            return self._rest.readinto1(buffer)
        count = min(len(buffer), len(self._head))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        return count


def metered(stream: IO[bytes], meter: Meter) -> io.BufferedReader:
    """`stream`, counted by `meter`."""
    return io.BufferedReader(_Metered(stream, meter), _BUFFER)


def peek(
    stream: io.BufferedReader, enough: Callable[[bytes], bool]
) -> tuple[bytes, io.BufferedReader]:
    """The first bytes of `stream` until `enough` (`HEAD_BYTES` at most), and the whole of it.

    It reads no more than it must, since the stream may be a pipe that is written slowly.
    """
    head = b""
    while len(head) < HEAD_BYTES and not enough(head):
        more = stream.read1(HEAD_BYTES - len(head))
        if not more:
            break
        head += more
    return head, io.BufferedReader(_Rejoined(head, stream), _BUFFER)


def decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    """`stream` decompressed if its first bytes say gzip, bzip2, Zstandard or xz; else as it is."""
    head, stream = peek(stream, lambda head: len(head) >= _MAGIC_BYTES)
    if head.startswith(b"\x1f\x8b"):
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER)
    if head.startswith(b"BZh"):
        return io.BufferedReader(bz2.BZ2File(stream), _BUFFER)
    if head.startswith(b"\xfd7zXZ\x00"):
        return io.BufferedReader(lzma.LZMAFile(stream), _BUFFER)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        raw = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
        return io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER)
    return stream


def lines(stream: io.BufferedReader) -> Iterator[bytes | LongLine]:
    """The lines, their ends included, without a leading byte order mark; none is kept too long."""
    first = True
    while line := stream.readline(LINE_BYTES + 1):
        if first:
            line, first = line.removeprefix(_BOM), False
        if len(line) <= LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        head = line[:HEAD_BYTES]
        while line and not line.endswith(b"\n"):
            line = stream.readline(LINE_BYTES)
        yield LongLine(head)
