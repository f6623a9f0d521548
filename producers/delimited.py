"""CSV (RFC 4180, lenient) and TSV lists, with or without a header.

A stray quote is common in captions and would swallow the rows after it. So a CSV record that
spans lines must keep RFC 4180 to the letter, within bounds, and have the header's number of cells;
else its first line alone is bad, and reading goes on with the next. In TSV a row never spans lines
(CC12M's captions hold raw quotes).
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator

from densefusion.errors import SourceError
from producers import columns, rows
from producers.columns import Columns, Places
from producers.rows import BadRow, Row
from producers.streams import LINE_BYTES, LongLine

RECORD_LINES = 1000
_SURROGATE = re.compile(r"[\ud800-\udfff]")

Lines = Iterator[bytes | LongLine]


class _Feed(Iterator[str]):
    """Lines for `csv.reader`, which can be given back when a record turns out broken."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._back: deque[str | LongLine] = deque()
        self._size = 0
        self.taken: list[str | LongLine] = []
        self.ended = False

    def start(self) -> None:
        """A new record begins."""
        self.taken, self._size, self.ended = [], 0, False

    def __next__(self) -> str:
        if len(self.taken) >= RECORD_LINES or self._size > LINE_BYTES:
            raise csv.Error("the record is too long; is a quote never closed?")
        line = self._back.popleft() if self._back else _decoded(next(self._lines, None))
        if line is None:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        if isinstance(line, LongLine):
            raise csv.Error(f"the line is longer than {LINE_BYTES} bytes")
        self._size += len(line)
        return line

    def is_strict(self, delimiter: str) -> bool:
        """Whether the record is on one line, or its quotes are as RFC 4180 has them."""
        if len(self.taken) == 1:
            return True
        lines = (line for line in self.taken if isinstance(line, str))
        try:
            return len(list(csv.reader(lines, delimiter=delimiter, strict=True))) == 1
        except csv.Error:
            return False

    def bad(self, detail: str, source: str) -> BadRow:
        """The record's first line as a bad row; the others will be read again."""
        first, *others = self.taken
        self._back.extendleft(reversed(others))
        if isinstance(first, LongLine):
            return BadRow(f"the line is longer than {LINE_BYTES} bytes", _shown(first), source)
        return BadRow(detail, _shown(first), source)

    def peek(self) -> str | None:
        """The first line that is not blank (it is read again later), or None."""
        while True:
            self.start()
            line = next(self, None)
            if line is None or line.strip():
                break
        if line is not None:
            self._back.appendleft(line)
        self.start()
        return line


def read_csv(lines: Lines, wanted: Columns, source: str) -> Iterator[Row | BadRow]:
    """Rows of a CSV list; the delimiter is ``,``, ``;``, ``|`` or a tab.

    Raises:
        SourceError: there is no column of URLs.
    """
    feed = _Feed(lines)
    try:
        first = feed.peek()
    except csv.Error as error:
        raise SourceError(f"{source}: {error}") from None
    if first is None:
        return
    delimiter = _delimiter(first, wanted)
    places: Places | None = None
    width = 0
    reader = csv.reader(feed, delimiter=delimiter)
    while True:
        feed.start()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield feed.bad(str(error), source)
            continue
        if not cells:
            continue
        if places is None:
            places, is_header = _begin(cells, wanted, source)
            width = len(cells)
            if is_header:
                continue
        if feed.ended or not feed.is_strict(delimiter):
            yield feed.bad("a quote is not closed, or followed by more text", source)
        elif len(cells) != width:
            yield feed.bad(f"{len(cells)} cells where {width} are expected", source)
        else:
            yield _checked(cells, places, feed.taken[0], source)


def read_tsv(lines: Lines, wanted: Columns, source: str) -> Iterator[Row | BadRow]:
    """Rows of a TSV list, one a line.

    Raises:
        SourceError: there is no column of URLs.
    """
    places: Places | None = None
    width = 0
    for raw in lines:
        line = _decoded(raw)
        if isinstance(line, LongLine):
            yield BadRow(f"the line is longer than {LINE_BYTES} bytes", _shown(line), source)
            continue
        if line is None or not line.strip():
            continue
        cells = _tsv_cells(line)
        if places is None:
            places, is_header = _begin(cells, wanted, source)
            width = len(cells)
            if is_header:
                continue
        if len(cells) != width:
            detail = f"{len(cells)} cells where {width} are expected"
            yield BadRow(detail, _shown(line), source)
        else:
            yield _checked(cells, places, line, source)


def _tsv_cells(line: str) -> list[str]:
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error:
        return line.split("\t")


def _begin(cells: list[str], wanted: Columns, source: str) -> tuple[Places, bool]:
    """The columns, and whether this first row is a header. A header never has a URL in it."""
    if any(rows.has_scheme(cell) for cell in cells):
        return columns.find_without_header(cells, wanted, source), False
    return columns.find(cells, wanted, source), True


def _delimiter(line: str, wanted: Columns) -> str:
    """The first delimiter with which the header has a column of URLs; else the comma."""
    for delimiter in ",;\t|":
        try:
            cells = next(csv.reader([line], delimiter=delimiter))
            columns.find(cells, wanted, "")
        except (SourceError, csv.Error):
            continue
        return delimiter
    return "\t" if "\t" in line and "," not in line else ","


def _checked(cells: list[str], places: Places, line: str | LongLine, source: str) -> Row | BadRow:
    if any(_SURROGATE.search(cell) for cell in cells):
        return BadRow("not valid UTF-8", _shown(line), source)
    return places.row(cells, source)


def _decoded(line: bytes | LongLine | None) -> str | LongLine | None:
    # Surrogates stand for invalid bytes, and come to light in the one row that has them.
    return line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line


def _shown(line: str | LongLine) -> str:
    if isinstance(line, LongLine):
        return rows.cap(line.head.decode("utf-8", "replace"), rows.URL_BYTES)
    data = line.rstrip("\r\n").encode("utf-8", "surrogateescape")
    return rows.cap(data.decode("utf-8", "replace"), rows.URL_BYTES)
