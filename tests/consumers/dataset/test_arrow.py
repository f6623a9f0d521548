"""The dataset's tables, read back by the tools that people read datasets with."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import fastavro
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consumers.dataset.arrow import arrow_type, captions_schema, rejects_schema, table
from consumers.dataset.rows import caption_row, json_line, reject_row
from schemas.files import load
from tests.consumers.dataset.samples import (
    FINDINGS,
    FOUND,
    NOW,
    decoded_caption,
    decoded_prior,
    through_avro,
)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """A full row, one whose experts failed or are missing, and one with no expert at all."""
    everyone = {name: decoded_prior(name) for name in FINDINGS}
    some = {"tagging": decoded_prior("tagging"), "ocr": decoded_prior("ocr", reason="no memory")}
    return [
        caption_row(decoded_caption(2**40, []), everyone),
        caption_row(decoded_caption(2**40 + 1, ["detection", "knowledge", "pose"]), some),
        caption_row(decoded_caption(2**40 + 2, list(FINDINGS)), {}),
    ]


@pytest.fixture(scope="module")
def shard(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shard") / "shard.parquet"
    pq.write_table(table(rows, captions_schema(FINDINGS)), path)
    return path


@pytest.fixture(scope="module")
def expected(shard: Path) -> Any:
    """What every reader must see, as Python's own types; checked against the rows below."""
    return plain(pq.read_table(shard).to_pylist())


def plain(value: Any) -> Any:
    """NumPy's and pandas' types as Python's."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, datetime):  # a pandas Timestamp too; in UTC, whatever names the zone
        return datetime.fromtimestamp(value.timestamp(), UTC)
    if isinstance(value, bytes):
        return value
    if hasattr(value, "tolist"):  # an array, or a scalar
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    lacking = value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    return None if lacking else value


def test_parquet_keeps_every_value(rows: list[dict[str, Any]], expected: Any) -> None:
    full = expected[0]
    assert [row["offset"] for row in expected] == [2**40, 2**40 + 1, 2**40 + 2]
    for column in full.keys() - {"priors"}:
        assert [row[column] for row in expected] == [row[column] for row in rows]
    ok = {"model": "m", "model_version": "1", "status": "ok", "reason": None}
    for expert in ("detection", "tagging", "ocr", "knowledge"):
        assert full["priors"][expert] == ok | FOUND[expert]
    assert full["priors"]["pose"] == ok | {
        "findings_status": "sits",
        "joints": [{"key": "knee", "value": 0.5}, {"key": "elbow", "value": 0.25}],
        "mask": b"\x00\xff",
        "root": {"length": 1.5, "limbs": ['{"length": 0.5, "limbs": []}']},
        "either": "7",
        "nothing": None,
        "bare": "{}",
        "seen": NOW,
        "grid": [[1, 2], [], [3]],
        "more": [None, "stands"],
    }


def test_failed_and_missing_experts_are_told_apart(expected: Any) -> None:
    priors = expected[1]["priors"]
    assert priors["tagging"]["tags"] == []
    assert priors["ocr"]["status"] == "failed"
    assert priors["ocr"]["reason"] == "no memory"
    assert priors["ocr"]["lines"] is None
    assert priors["detection"] is None
    assert expected[1]["missing_experts"] == ["detection", "knowledge", "pose"]


def test_polars_reads_the_same(shard: Path, expected: Any) -> None:
    assert plain(pl.read_parquet(shard).to_dicts()) == expected


def test_duckdb_reads_the_same(shard: Path, expected: Any) -> None:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        read = db.sql("FROM read_parquet(?)", params=[str(shard)]).to_arrow_table()
        assert plain(read.to_pylist()) == expected
        label = 'SELECT priors.detection.boxes[1].label FROM read_parquet(?) WHERE "offset" = ?'
        assert db.execute(label, [str(shard), 2**40]).fetchone() == ('a "dog"',)


def test_pandas_reads_the_same(shard: Path, expected: Any) -> None:
    frame = pd.read_parquet(shard)
    assert list(frame.columns) == list(expected[0])
    read = frame.to_dict("records")
    assert plain(read) == expected


def test_datasets_reads_the_same(shard: Path, expected: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    read = datasets.Dataset.from_parquet(str(shard), cache_dir=str(tmp_path))
    assert read.column_names == list(expected[0])
    assert plain(read.to_list()) == expected


def test_json_lines_have_the_same_names(
    rows: list[dict[str, Any]], expected: Any, tmp_path: Path
) -> None:
    path = tmp_path / "shard.jsonl"
    path.write_text("".join(json_line(row) + "\n" for row in rows), "utf-8")
    names = captions_schema(FINDINGS).names
    assert [list(json.loads(line)) for line in path.read_text("utf-8").splitlines()] == [names] * 3
    assert pl.read_ndjson(path).columns == names
    frame = pd.read_json(path, lines=True)
    assert list(frame.columns) == names
    assert list(frame["caption"]) == [row["caption"] for row in expected]


def test_rejects_keep_every_value() -> None:
    reject = {
        "url_id": "u",
        "url": "https://example.org/",
        "stage": "fetch",
        "reason": "http-404",
        "rejected_at": NOW,
    }
    rows = [reject_row(through_avro(load("Reject"), reject), 1, offset) for offset in (4, 2**35)]
    assert table(rows, rejects_schema()).to_pylist() == rows


def test_an_empty_table_has_the_same_columns(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    schema = captions_schema(FINDINGS)
    pq.write_table(table([], schema), path)
    assert pl.read_parquet(path).columns == schema.names


def test_without_experts_there_are_no_priors(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    schema = captions_schema({})
    pq.write_table(table([caption_row(decoded_caption(1, []), {})], schema), path)
    assert "priors" not in schema.names
    assert pl.read_parquet(path)["offset"].to_list() == [1]


def test_an_expert_that_has_left_the_roster_is_left_out(rows: list[dict[str, Any]]) -> None:
    schema = captions_schema({"tagging": FINDINGS["tagging"]})
    assert set(table(rows, schema).to_pylist()[0]["priors"]) == {"tagging"}


def test_findings_must_be_a_record() -> None:
    with pytest.raises(ValueError, match="pose"):
        captions_schema({"pose": {"type": "map", "values": "string"}})


@pytest.mark.parametrize(
    ("avro", "arrow", "value"),
    [
        ("boolean", pa.bool_(), True),
        ("int", pa.int32(), -(2**31)),
        ("long", pa.int64(), 2**63 - 1),
        ("float", pa.float32(), 0.5),
        ("double", pa.float64(), 0.1),
        ("bytes", pa.binary(), b"\x00"),
        ("string", pa.string(), "ä"),
        (["string"], pa.string(), "one"),
        (["long", "null"], pa.int64(), None),
        ({"type": "fixed", "name": "Hash", "size": 2}, pa.binary(2), b"ab"),
        ({"type": "int", "logicalType": "date"}, pa.date32(), date(2025, 1, 2)),
        ({"type": "int", "logicalType": "time-millis"}, pa.time32("ms"), time(1, 2, 3, 4000)),
        ({"type": "long", "logicalType": "timestamp-micros"}, pa.timestamp("us", "UTC"), NOW),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            pa.decimal128(9, 2),
            Decimal("12.50"),
        ),
        ({"type": "long", "logicalType": "of-tomorrow"}, pa.int64(), 1),
        ({"type": "string", "logicalType": "decimal"}, pa.string(), "on no string"),
    ],
)
def test_types(avro: Any, arrow: pa.DataType, value: Any) -> None:
    assert arrow_type(avro) == arrow
    record = {"type": "record", "name": "R", "fields": [{"name": "x", "type": avro}]}
    read = through_avro(record, {"x": value})
    assert table([read], pa.schema([("x", arrow)])).to_pylist() == [{"x": value}]


def test_what_arrow_has_no_type_for_is_text() -> None:
    uuid = {"type": "string", "logicalType": "uuid"}
    union = ["string", "double", "bytes", {"type": "map", "values": "int"}, uuid]
    wide = {"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 1}
    fields = [
        {"name": "x", "type": union},
        {"name": "y", "type": uuid},
        {"name": "z", "type": wide},
    ]
    record = arrow_type({"type": "record", "name": "R", "fields": fields})
    assert {field.type for field in record} == {pa.string()}
    ident = UUID(int=5)
    given = ["as it is", 0.5, b"\xff", {"a": 1}, float("nan"), None]
    rows = [{"x": each, "y": ident, "z": Decimal("1.5")} for each in given]
    read = table(rows, pa.schema(record))
    assert read["x"].to_pylist() == ["as it is", "0.5", "/w==", '{"a": 1}', "null", None]
    assert set(read["y"].to_pylist()) == {str(ident)}
    assert set(read["z"].to_pylist()) == {"1.5"}


def test_no_avro_schema() -> None:
    with pytest.raises(fastavro.schema.UnknownType):
        arrow_type({"type": "array", "items": "org.nowhere.Thing"})
