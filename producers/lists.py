"""URL lists of every kind, as rows: Parquet, CSV, TSV, JSON Lines, a JSON array, plain text.

Each but Parquet may be compressed (gzip, bzip2, Zstandard, xz), and is told from its content.
Memory stays constant, whatever a list's size: lines, fields and elements are bounded. What cannot
be read as a row is given as a `BadRow`; nothing is left out in silence.
"""

from __future__ import annotations

import io
import lzma
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from densefusion.errors import SourceError
from producers import delimited, folder, jsons, kinds, parquet, rows, streams
from producers.columns import Columns
from producers.rows import BadRow, Row
from producers.streams import LINE_BYTES, LongLine, Meter

STDIN = "-"

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)


def read(
    source: str | Path,
    *,
    kind: str | None = None,
    columns: Columns | None = None,
    meter: Meter | None = None,
) -> Iterator[Row | BadRow]:
    """Rows of a list, of every list below a folder (in the order of their names), or of
    standard input (``-``).

    Args:
        kind: one of `kinds.KINDS`; default: by the file's name, else by its content.
        columns: names of the columns that are not found by themselves.
        meter: counts the bytes read.

    Raises:
        SourceError: the list cannot be opened or read on, or has no column of URLs. Of several
            lists, the others are read to their end before that.
    """
    if kind is not None and kind not in kinds.KINDS:
        raise SourceError(f"no kind of list is called {kind!r}; there are {', '.join(kinds.KINDS)}")
    if str(source) == STDIN:
        yield from _read_stream(sys.stdin.buffer, "stdin", kind, columns, meter)
        return
    path = Path(source)
    if path.is_dir():
        yield from _read_all(path, kind, columns, meter)
    else:
        yield from read_file(path, path.name, kind=kind, columns=columns, meter=meter)


def count(source: str | Path) -> int | None:
    """Number of rows, where it costs next to nothing: Parquet files; else None."""
    path = Path(source)
    try:
        files = list(find(path)) if path.is_dir() else [path]
        if not files or any(not _is_plain_parquet(each) for each in files):
            return None
        return sum(parquet.count(str(each)) for each in files)
    except (pa.ArrowException, OSError):
        return None  # reading it will say what is wrong


def find(top: Path) -> Iterator[Path]:
    """The lists below a folder, sorted; hidden files are skipped.

    A text file next to an image of the same name is that image's alt text, not a list, and a
    ``.txt`` or ``.json`` file counts only if its beginning looks like a list.
    """
    for path in folder.walk(top):
        kind = kinds.of_name(path)
        if kind is None or not path.is_file() or (kind == "txt" and folder.has_image(path)):
            continue
        if kind not in ("txt", "json") or _looks_like_list(path, kind):
            yield path


def read_file(
    path: Path,
    name: str,
    *,
    kind: str | None = None,
    columns: Columns | None = None,
    meter: Meter | None = None,
) -> Iterator[Row | BadRow]:
    """Rows of one file; `name` becomes their `source`. Raises as `read` does."""
    try:
        if kind in (None, "parquet") and _is_plain_parquet(path):
            yield from parquet.read(str(path), columns or Columns(), name)
            return
        with path.open("rb", buffering=0) as file:
            kind = kind or _kind_of_name(path)
            yield from _read_stream(file, name, kind, columns, meter)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _read_all(
    top: Path, kind: str | None, columns: Columns | None, meter: Meter | None
) -> Iterator[Row | BadRow]:
    failed = []
    number = 0
    for path in find(top):
        number += 1
        name = str(path.relative_to(top))
        try:
            yield from read_file(path, name, kind=kind, columns=columns, meter=meter)
        except SourceError as error:
            failed.append(str(error))
    if not number:
        raise SourceError(f"{top} holds no lists")
    if failed:
        shown = "; ".join(failed[:5])
        raise SourceError(f"{len(failed)} of {number} lists could not be read to the end: {shown}")


def _read_stream(
    raw: IO[bytes], name: str, kind: str | None, columns: Columns | None, meter: Meter | None
) -> Iterator[Row | BadRow]:
    wanted = columns or Columns()
    try:
        stream = streams.decompressed(streams.metered(raw, meter or Meter()))
        head, stream = streams.peek(stream, kinds.is_enough)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise SourceError(f"{name} is UTF-16; convert it to UTF-8 first (iconv)")
        yield from _read_kind(stream, _settled(kind, head, name), name, wanted)
    except _BROKEN as error:
        raise SourceError(f"{name} cannot be read on: {error}") from error


def _read_kind(
    stream: io.BufferedReader, kind: str, name: str, wanted: Columns
) -> Iterator[Row | BadRow]:
    if kind == "parquet":
        # Parquet is read from its end: a stream goes to disk first.
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(stream, file)
            file.seek(0)
            yield from parquet.read(file, wanted, name)
    elif kind == "json":
        yield from jsons.read_array(stream, wanted, name)
    else:
        reader = {
            "csv": delimited.read_csv,
            "tsv": delimited.read_tsv,
            "jsonl": jsons.read_lines,
            "txt": _read_text,
        }[kind]
        yield from reader(streams.lines(stream), wanted, name)


def _read_text(
    lines: Iterator[bytes | LongLine], wanted: Columns, source: str
) -> Iterator[Row | BadRow]:
    """A URL a line; blank lines and lines that begin with # are skipped."""
    for line in lines:
        raw = line.head if isinstance(line, LongLine) else line.strip()
        shown = rows.cap(raw.decode("utf-8", "replace"), rows.URL_BYTES)
        if isinstance(line, LongLine):
            yield BadRow(f"the line is longer than {LINE_BYTES} bytes", shown, source)
        elif not raw or raw.startswith(b"#"):
            continue
        elif len(raw) > rows.URL_BYTES:
            yield BadRow(f"the URL is longer than {rows.URL_BYTES} bytes", shown, source)
        else:
            try:
                yield Row(raw.decode("utf-8").strip(), source=source)
            except UnicodeDecodeError:
                yield BadRow("not valid UTF-8", shown, source)


def _settled(kind: str | None, head: bytes, name: str) -> str:
    """The kind, after a look at the content where the name leaves it open."""
    if kind is None:
        return kinds.of_content(head, name)
    if kind == "json" and kinds.first_line(head).lstrip()[:1] != b"[":
        if not kinds.is_json_lines(head):
            raise SourceError(f"{name} holds neither a JSON array nor a JSON object a line")
        return "jsonl"
    return kind


def _kind_of_name(path: Path) -> str | None:
    """A ``.txt`` file's name says little: its content decides."""
    kind = kinds.of_name(path)
    return None if kind == "txt" else kind


def _is_plain_parquet(path: Path) -> bool:
    if not path.is_file():  # a named pipe's first bytes would be lost
        return False
    with path.open("rb", buffering=0) as file:
        return file.read(4) == b"PAR1"


def _looks_like_list(path: Path, kind: str) -> bool:
    """Whether the beginning holds something to read as a URL; a README or a report does not."""
    try:
        with path.open("rb", buffering=0) as file:
            stream = streams.decompressed(streams.metered(file, Meter()))
            head, _ = streams.peek(stream, kinds.is_enough)
    except _BROKEN:
        return True  # it can't be read: whoever reads it gets told
    line = kinds.first_line(head)
    if kind == "json":
        return line.lstrip().startswith(b"[") or kinds.is_json_lines(head)
    text = line.decode("utf-8", "replace").strip()
    if rows.has_scheme(text):
        return True
    return bool(text) and folder.inside(path.parent.resolve(), path.parent / text) is not None


def size(source: str | Path) -> int | None:
    """Bytes of the files that `read` will read, for a progress bar; None for standard input."""
    if str(source) == STDIN:
        return None
    path = Path(source)
    files = find(path) if path.is_dir() else iter([path])
    return sum(os.stat(each).st_size for each in files)
