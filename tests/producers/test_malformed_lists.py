"""Lists that are broken, in part or whole: what is told, and that memory stays bounded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from densefusion.errors import SourceError
from producers import lists, streams
from producers.columns import Columns
from producers.rows import BadRow, Row

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def urls(rows: list[Row | BadRow]) -> list[str]:
    return [row.url for row in rows if isinstance(row, Row)]


COMPRESSORS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("mark", ["\n", "\r\n"])
def test_a_stray_quote_costs_its_own_row_only(tmp_path: Path, mark: str) -> None:
    more = "".join(f"http://a/{number},text{mark}" for number in range(3000))
    path = write(tmp_path / "l.csv", f'url,text{mark}http://bad,"oops{mark}{more}')
    rows = list(lists.read(path))
    assert isinstance(rows[0], BadRow)
    assert rows[0].text == 'http://bad,"oops'
    assert urls(rows[1:]) == [f"http://a/{number}" for number in range(3000)]


def test_two_stray_quotes_do_not_merge_rows(tmp_path: Path) -> None:
    text = 'url,text,n\nhttp://1,"oops,1\nhttp://2,fine,2\nhttp://3,"oops,3\nhttp://4,"multi\nline",4\n'
    rows = list(lists.read(write(tmp_path / "l.csv", text)))
    assert urls(rows) == ["http://2", "http://4"]
    assert [row.text for row in rows if isinstance(row, BadRow)] == [
        'http://1,"oops,1',
        'http://3,"oops,3',
    ]


def test_malformed_rows_are_given_and_do_not_stop_the_list(tmp_path: Path) -> None:
    good = b"http://good,x\n"
    bad = {
        b"http://short\n": "1 cells where 2",
        b"http://long,x,y\n": "3 cells where 2",
        b"http://latin,caf\xe9\n": "not valid UTF-8",
        b"http://field," + b"x" * 200_000 + b"\n": "field larger than field limit",
        b"http://line," + b"x" * (2 * streams.LINE_BYTES) + b"\n": "line is longer than",
    }
    data = b"url,text\n" + good + b"".join(line + good for line in bad)
    rows = list(lists.read(write(tmp_path / "l.csv", data)))
    assert urls(rows) == ["http://good"] * 6
    found = [row for row in rows if isinstance(row, BadRow)]
    for row, (line, detail) in zip(found, bad.items(), strict=True):
        assert detail in row.detail
        assert row.text[:8] == line.decode("latin-1")[:8]
        assert len(row.text.encode()) <= 8192


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b'{"url": "http://broken', "not valid JSON"),
        (b'{"url": "caf\xe9"}', "not valid UTF-8"),
        (b'["http://array"]', "not a JSON object"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"alt": "no url"}', "no URL"),
        (b'{"url": "http://\\ud800"}', "not valid Unicode"),
        (b'{"url": "http://' + b"a" * 9000 + b'"}', "longer than 8192"),
        (b'{"url": ' + b"1" * 5000 + b"}", "not valid JSON"),
        (b'{"url": "' + b"a" * (3 * streams.LINE_BYTES) + b'"}', "line is longer"),
    ],
)
def test_malformed_json_lines(tmp_path: Path, line: bytes, detail: str) -> None:
    good = b'{"url": "http://good"}\n'
    path = write(tmp_path / "l.jsonl", good + line + b"\n" + good)
    first, bad, last = lists.read(path)
    assert urls([first, last]) == ["http://good"] * 2
    assert isinstance(bad, BadRow)
    assert detail in bad.detail


def test_tsv_and_text_report_malformed_lines(tmp_path: Path) -> None:
    long = b"x" * (streams.LINE_BYTES + 1)
    path = write(tmp_path / "l.tsv", b"url\tt\n" + long + b"\nhttp://a\nhttp://b\tc\xff\n")
    assert [row.detail for row in lists.read(path) if isinstance(row, BadRow)] == [
        f"the line is longer than {streams.LINE_BYTES} bytes",
        "1 cells where 2 are expected",
        "not valid UTF-8",
    ]
    path = write(tmp_path / "l.txt", b"http://a\n" + long + b"\n\xff\nhttp://" + b"b" * 9000)
    rows = list(lists.read(path))
    assert [type(row) for row in rows] == [Row, BadRow, BadRow, BadRow]


def test_a_huge_line_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    with path.open("wb") as file:
        file.write(b"http://first\n")
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b"\nhttp://last\n")
    tracemalloc.start()
    try:
        assert urls(list(lists.read(path))) == ["http://first", "http://last"]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_element_of_a_json_array_is_bounded(tmp_path: Path) -> None:
    many = ",".join('{"url": "http://a"}' for _ in range(100_000))  # longer than the bound
    assert len(list(lists.read(write(tmp_path / "l.json", f"[{many}]")))) == 100_000
    huge = '{"url": "http://a"},{"url": "' + "a" * (2 * streams.LINE_BYTES) + '"}'
    rows = lists.read(write(tmp_path / "m.json", f"[{huge}]"))
    assert urls([next(rows)]) == ["http://a"]
    with pytest.raises(SourceError, match="longer than"):
        list(rows)


def test_a_broken_json_array_gives_what_comes_before(tmp_path: Path) -> None:
    path = write(tmp_path / "l.json", '[{"url": "http://a"}, 7, {"url": "http://b"}, {"url"')
    rows = lists.read(path)
    assert urls([next(rows)]) == ["http://a"]
    assert isinstance(next(rows), BadRow)
    with pytest.raises(SourceError, match="broken JSON"):
        list(rows)


def test_json_that_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither"):
        list(lists.read(write(tmp_path / "l.json", '{\n "url": "http://a"\n}\n')))


def test_truncated_files_say_so_after_their_rows(tmp_path: Path) -> None:
    data = "".join(f"http://a/{number}/{os.urandom(16).hex()}\n" for number in range(20_000))
    for suffix in (".gz", ".bz2", ".zst", ".xz"):
        packed = COMPRESSORS[suffix](data.encode())
        path = write(tmp_path / f"l.txt{suffix}", packed[: len(packed) // 2])
        seen = []
        with pytest.raises(SourceError, match="cannot be read on"):
            for row in lists.read(path):
                seen.append(row)
        assert suffix == ".bz2" or seen


@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.jsonl", "l.json", "l.parquet"])
def test_no_url_column_lists_what_there_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = {
        "l.csv": "colour,size\nred,1\n",
        "l.tsv": "colour\tsize\nred\t1\n",
        "l.jsonl": '{"colour": "red", "size": 1}\n',
        "l.json": '[{"colour": "red", "size": 1}]',
    }
    if name == "l.parquet":
        pq.write_table(pa.table({"colour": ["red"], "size": [1]}), path)
    else:
        write(path, data[name])
    with pytest.raises(SourceError, match=r"'colour', 'size'.*--url-column"):
        list(lists.read(path))
    with pytest.raises(SourceError, match="no column 'nope'"):
        list(lists.read(path, columns=Columns(url="nope")))
    assert urls(list(lists.read(path, columns=Columns(url="Colour")))) == ["red"]


def test_unreadable_sources(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(SourceError):
            list(lists.read(path))
    with pytest.raises(SourceError, match="UTF-16"):
        list(lists.read(write(tmp_path / "l.csv", "url\nhttp://a\n".encode("utf-16"))))
    with pytest.raises(SourceError, match="as Parquet"):
        list(lists.read(write(tmp_path / "l.parquet", b"PAR1" + b"x" * 100)))
    with pytest.raises(SourceError, match="--kind"):
        list(lists.read(write(tmp_path / "l", "what is this\n")))
    with pytest.raises(SourceError, match="no kind"):
        list(lists.read(tmp_path / "l", kind="xls"))


@FILES
@given(st.binary(max_size=400), st.sampled_from(["csv", "tsv", "jsonl", "txt"]))
def test_any_bytes_give_rows_or_a_source_error(tmp_path: Path, data: bytes, kind: str) -> None:
    start = (
        b'{"url": "http://a"}\n'
        if kind == "jsonl"
        else b"url\tn\n"
        if kind == "tsv"
        else b"url,n\n"
    )
    path = write(tmp_path / "l", start + data)
    try:
        rows = list(lists.read(path, kind=kind))
    except SourceError:
        return
    for row in rows:
        (row.text if isinstance(row, BadRow) else row.url).encode()
