"""Lists in Parquet, read a batch at a time; only columns that can be text are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from densefusion.errors import SourceError
from producers import columns, rows
from producers.columns import Columns, Places
from producers.rows import BadRow, Row

_BATCH_ROWS = 1024
_BUFFER = 1 << 20


def count(file: str | IO[bytes]) -> int:
    """Number of rows, from the footer."""
    return int(pq.read_metadata(file).num_rows)


def read(file: str | IO[bytes], wanted: Columns, source: str) -> Iterator[Row | BadRow]:
    """Rows of a Parquet file (a path, or a stream that can seek).

    Lists, structs and plain binary columns (image bytes, embeddings) are left unread.

    Raises:
        SourceError: no column of URLs, or the file is broken. The rows before the broken place
            have been given by then.
    """
    try:
        with pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as parquet:
            names = _readable(parquet.schema_arrow, wanted)
            places = _needed(columns.find(names, wanted, source))
            chosen = [names[place] for place in _numbers(places)]
            renumbered = _renumbered(places)
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=chosen, use_threads=False):
                yield from _rows(batch, chosen, renumbered, source)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{source} cannot be read as Parquet: {_short(error)}") from error


def _readable(schema: pa.Schema, wanted: Columns) -> list[str]:
    named = {wanted.url, wanted.alt_text, wanted.page_url}
    return [
        field.name
        for field in schema
        if schema.names.count(field.name) == 1
        and (_is_text(field.type) or (field.name in named and _is_binary(field.type)))
    ]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal,
        pa.types.is_date, pa.types.is_time, pa.types.is_timestamp,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    )


def _needed(places: Places) -> Places:
    """Without the columns that the bound on `extra` would drop anyway."""
    return Places(places.url, places.alt_text, places.page_url, places.extra[: rows.EXTRA_COUNT])


def _numbers(places: Places) -> list[int]:
    extra = {place for place, _ in places.extra}
    single = {places.url, places.alt_text, places.page_url}
    return sorted(extra | {place for place in single if place is not None})


def _renumbered(places: Places) -> Places:
    new = {old: number for number, old in enumerate(_numbers(places))}
    return Places(
        new[places.url],
        None if places.alt_text is None else new[places.alt_text],
        None if places.page_url is None else new[places.page_url],
        tuple((new[place], name) for place, name in places.extra),
    )


def _rows(
    batch: pa.RecordBatch, names: list[str], places: Places, source: str
) -> Iterator[Row | BadRow]:
    texts = [_texts(batch.column(name)) for name in names]
    for values in zip(*texts, strict=True):
        if any(isinstance(value, bytes) for value in values):
            url = values[places.url]
            text = url.decode("utf-8", "replace") if isinstance(url, bytes) else url or ""
            yield BadRow("not valid UTF-8", rows.cap(text, rows.URL_BYTES), source)
        else:
            yield places.row(values, source)


def _texts(column: pa.Array) -> list[str | bytes | None]:
    """The column as text; a value that is not valid UTF-8 stays bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
    elif not _is_binary(kind):
        return list(column.cast(pa.string()).to_pylist())
    return [_decoded(value) for value in column.to_pylist()]


def _decoded(value: bytes | None) -> str | bytes | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _short(error: Any) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
