from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from densefusion.errors import SourceError
from producers import lists
from producers.columns import Columns
from producers.rows import BadRow, Row


def test_laion(tmp_path: Path) -> None:
    table = pa.table(
        {
            "SAMPLE_ID": pa.array([1.5, None]),
            "URL": ["http://a/1.jpg", "http://a/2.jpg"],
            "TEXT": ["one", None],
            "HEIGHT": pa.array([10, 20], pa.int32()),
            "LICENSE": ["?", ""],
            "NSFW": pa.array(["UNLIKELY", "UNSURE"]).dictionary_encode(),
            "similarity": [0.5, 0.25],
        }
    )
    path = tmp_path / "part-00000.snappy.parquet"
    pq.write_table(table, path)
    one, two = lists.read(path)
    extra = {
        "SAMPLE_ID": "1.5", "HEIGHT": "10", "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": "0.5"
    }  # fmt: skip
    assert one == Row("http://a/1.jpg", "one", None, path.name, extra)
    assert two == Row(
        "http://a/2.jpg", None, None, path.name,
        {"HEIGHT": "20", "NSFW": "UNSURE", "similarity": "0.25"},
    )  # fmt: skip
    assert lists.count(path) == 2


def test_datacomp_leaves_nested_and_binary_columns_unread(tmp_path: Path) -> None:
    table = pa.table(
        {
            "uid": ["u"],
            "url": ["http://a"],
            "text": pa.array(["words"], pa.large_string()),
            "original_width": [5],
            "face_bboxes": [[[0.1, 0.2]]],
            "image": [b"\xff\xd8"],
            "sha256": ["s"],
            "seen": [dt.datetime(2020, 1, 2, tzinfo=dt.UTC)],
            "ok": [True],
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    (row,) = lists.read(tmp_path / "d.parquet")
    assert isinstance(row, Row)
    assert (row.url, row.alt_text) == ("http://a", "words")
    assert set(row.extra) == {"uid", "original_width", "sha256", "seen", "ok"}
    assert row.extra["ok"] == "true"
    assert row.extra["seen"].startswith("2020-01-02")


def test_columns_in_any_order_and_named(tmp_path: Path) -> None:
    table = pa.table(
        {"z": ["page text"], "page_url": ["http://p"], "where": ["http://a"], "a": [1]}
    )
    pq.write_table(table, tmp_path / "l.parquet")
    read = lists.read(tmp_path / "l.parquet", columns=Columns(url="where", alt_text="z"))
    assert list(read) == [Row("http://a", "page text", "http://p", "l.parquet", {"a": "1"})]


def test_invalid_utf8_is_a_bad_row(tmp_path: Path) -> None:
    data = pa.array([b"http://a", b"http://\xff", b"http://c"])
    column = pa.Array.from_buffers(pa.string(), 3, data.buffers())
    pq.write_table(pa.table({"url": column}), tmp_path / "l.parquet")
    one, two, three = lists.read(tmp_path / "l.parquet")
    assert isinstance(one, Row) and isinstance(three, Row)
    assert isinstance(two, BadRow)
    assert two == BadRow("not valid UTF-8", "http://\ufffd", "l.parquet")


def test_a_binary_column_can_be_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"u": [b"http://a", b"\xff", None]}), tmp_path / "l.parquet")
    rows = list(lists.read(tmp_path / "l.parquet", columns=Columns(url="u")))
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert isinstance(rows[2], Row) and rows[2].url == ""


def test_extra_columns_are_bounded(tmp_path: Path) -> None:
    columns = {f"c{number}": ["x" * 5000] for number in range(100)}
    pq.write_table(pa.table({**columns, "url": ["http://a"]}), tmp_path / "l.parquet")
    (row,) = lists.read(tmp_path / "l.parquet")
    assert len(row.extra) == 32
    assert {len(text) for text in row.extra.values()} == {2048}


def test_count_of_a_folder_is_known_if_all_are_parquet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pq.write_table(pa.table({"url": ["http://a"] * 3}), tmp_path / f"{name}.parquet")
    assert lists.count(tmp_path) == 6
    (tmp_path / "c.csv").write_text("url\nhttp://c\n")
    assert lists.count(tmp_path) is None
    assert lists.count("-") is None


def test_a_parquet_file_broken_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    many = [f"http://a/{number}" for number in range(20_000)]
    pq.write_table(pa.table({"url": many}), path, row_group_size=5000, use_dictionary=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5000] = b"\xff" * 5000
    path.write_bytes(data)
    seen = 0
    with pytest.raises(SourceError, match="as Parquet"):
        for _ in lists.read(path):
            seen += 1
    assert 0 < seen < 20_000
