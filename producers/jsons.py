"""Lists in JSON: an object a line, or one array of objects read piece by piece (`ijson`)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import ijson

from densefusion.errors import SourceError
from producers import columns, rows
from producers.columns import Columns, Places
from producers.rows import BadRow, Row
from producers.streams import LINE_BYTES, LongLine

_LAYOUTS = 256
_CHUNK = 64 << 10


class _Objects:
    """Rows from objects, whose keys may differ from one to the next.

    The first object must have a URL, or the list is not one; a later one without is a bad row.
    """

    def __init__(self, wanted: Columns, source: str) -> None:
        self._wanted = wanted
        self._source = source
        self._layouts: dict[tuple[str, ...], Places | None] = {}

    def row(self, value: object, text: str) -> Row | BadRow:
        if not isinstance(value, dict):
            return BadRow("not a JSON object", rows.cap(text, rows.URL_BYTES), self._source)
        places = self._places(tuple(value))
        if places is None:
            detail = "the object has no URL"
            return BadRow(detail, rows.cap(text, rows.URL_BYTES), self._source)
        return places.row(list(value.values()), self._source)

    def _places(self, keys: tuple[str, ...]) -> Places | None:
        if keys in self._layouts:
            return self._layouts[keys]
        places = None
        try:
            places = columns.find(keys, self._with_present(keys), self._source)
        except SourceError:
            if not self._layouts:
                raise
        if len(self._layouts) < _LAYOUTS:
            self._layouts[keys] = places
        return places

    def _with_present(self, keys: tuple[str, ...]) -> Columns:
        """After the first object, a named column other than the URL's may be left out."""
        if not self._layouts:
            return self._wanted
        wanted = self._wanted
        alt = wanted.alt_text if wanted.alt_text in keys else None
        page = wanted.page_url if wanted.page_url in keys else None
        return Columns(wanted.url, alt, page)


def read_lines(
    lines: Iterator[bytes | LongLine], wanted: Columns, source: str
) -> Iterator[Row | BadRow]:
    """Rows of a JSON Lines list.

    Raises:
        SourceError: the first object has no URL.
    """
    objects = _Objects(wanted, source)
    for line in lines:
        if isinstance(line, LongLine):
            head = rows.cap(line.head.decode("utf-8", "replace"), rows.URL_BYTES)
            yield BadRow(f"the line is longer than {LINE_BYTES} bytes", head, source)
            continue
        if not line.strip():
            continue
        text = line.decode("utf-8", "replace").strip()
        try:
            value = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield BadRow("not valid UTF-8", rows.cap(text, rows.URL_BYTES), source)
        except (ValueError, RecursionError) as error:
            detail = f"not valid JSON: {error}"
            yield BadRow(detail, rows.cap(text, rows.URL_BYTES), source)
        else:
            yield objects.row(value, text)


class _Bounded:
    """A stream for `ijson` that refuses to read on for ever inside one element."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._since = 0

    def next_element(self) -> None:
        self._since = 0

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._since += len(data)
        if count > 0 and self._since > LINE_BYTES + 2 * _CHUNK:
            raise ijson.JSONError(f"an element is longer than {LINE_BYTES} bytes")
        return data


def read_array(stream: io.BufferedReader, wanted: Columns, source: str) -> Iterator[Row | BadRow]:
    """Rows of one JSON array of objects.

    Raises:
        SourceError: the first object has no URL, or the array is broken: unlike a line, there is
            no place to go on from. The rows before that have been given by then.
    """
    objects = _Objects(wanted, source)
    bounded = _Bounded(stream)
    try:
        for value in ijson.items(bounded, "item", buf_size=_CHUNK, use_float=True):
            bounded.next_element()
            text = "" if isinstance(value, dict) else str(value)[: rows.URL_BYTES]
            yield objects.row(value, text)
    except (ijson.JSONError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{source} is broken JSON: {reason}") from error
