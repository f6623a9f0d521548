from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import threading
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

URL = "https://example.org/a.jpg"
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

LISTS = {
    "csv": f"URL,TEXT\n{URL},a cat\n{URL}?2,\n",
    "tsv": f"image_url\tcaption\n{URL}\ta cat\n{URL}?2\t\n",
    "jsonl": f'{{"url": "{URL}", "alt": "a cat"}}\n\n{{"url": "{URL}?2", "alt": null}}',
    "json": f'[{{"url": "{URL}", "alt_text": "a cat"}}, {{"url": "{URL}?2", "alt_text": ""}}]',
}


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("kind", LISTS)
def test_every_kind_and_compression(tmp_path: Path, kind: str, suffix: str) -> None:
    path = write(tmp_path / f"l.{kind}{suffix}", COMPRESSORS[suffix](LISTS[kind].encode()))
    assert list(lists.read(path)) == [
        Row(URL, "a cat", None, path.name),
        Row(f"{URL}?2", None, None, path.name),
    ]


@pytest.mark.parametrize("kind", LISTS)
def test_the_kind_is_told_from_the_content(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "list", LISTS[kind])
    assert urls(list(lists.read(path))) == [URL, f"{URL}?2"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"l.{kind}", b"\xef\xbb\xbf" + LISTS[kind].encode())
    assert urls(list(lists.read(path))) == [URL, f"{URL}?2"]


def test_zstandard_and_gzip_files_of_several_members(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        pack = COMPRESSORS[suffix]
        path = write(tmp_path / f"l.txt{suffix}", pack(b"http://a/1\n") + pack(b"http://a/2\n"))
        assert urls(list(lists.read(path))) == ["http://a/1", "http://a/2"]


def test_plain_text_skips_comments_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "l.txt", f"# header\n\n  {URL}  \r\n#x\nhttp://b/ü.png")
    assert urls(list(lists.read(path))) == [URL, "http://b/ü.png"]


def test_a_txt_file_with_tabs_is_read_as_tsv(tmp_path: Path) -> None:
    path = write(tmp_path / "l.txt", f"{URL}\ta cat\n")
    assert list(lists.read(path)) == [Row(URL, "a cat", None, "l.txt")]


def test_an_empty_list_has_no_rows(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.txt", "a"):
        assert list(lists.read(write(tmp_path / name, ""))) == []


@pytest.mark.parametrize(
    ("line", "alt"),
    [
        (f'{URL}\t"Quoted" start and a 5" disc', '"Quoted" start and a 5" disc'),
        (f'{URL}\t"never closed', '"never closed'),
        (f'{URL}\t"two ""quotes"" inside"', 'two "quotes" inside'),
    ],
)
def test_tsv_without_header_as_cc12m(tmp_path: Path, line: str, alt: str) -> None:
    path = write(tmp_path / "cc12m.tsv", f"{line}\n{URL}?2\tplain\n")
    assert list(lists.read(path)) == [
        Row(URL, alt, None, "cc12m.tsv"),
        Row(f"{URL}?2", "plain", None, "cc12m.tsv"),
    ]


def test_tsv_without_header_as_cc3m_has_the_caption_first(tmp_path: Path) -> None:
    path = write(tmp_path / "cc3m.tsv", f"a cat\t{URL}\n")
    assert list(lists.read(path)) == [Row(URL, "a cat", None, "cc3m.tsv")]


def test_columns_of_a_list_without_header_are_named_by_number(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", f"http://page/,7,{URL},words\n")
    wanted = Columns(url="column3", alt_text="column4", page_url="column1")
    assert list(lists.read(path, columns=wanted)) == [
        Row(URL, "words", "http://page/", "l.csv", {"column2": "7"})
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_csv_delimiters(tmp_path: Path, mark: str) -> None:
    path = write(tmp_path / "l.csv", f"id{mark}Image URL{mark}Caption\n1{mark}{URL}{mark}a cat\n")
    assert list(lists.read(path)) == [Row(URL, "a cat", None, "l.csv", {"id": "1"})]


def test_a_folder_is_read_in_order_and_hidden_files_are_not(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", "url\nhttp://b\n")
    write(tmp_path / "a.txt", "http://a\n")
    write(tmp_path / ".hidden.txt", "http://hidden\n")
    write(tmp_path / "README.txt", "About these lists\n")
    write(tmp_path / "stats.json", '{\n"count": 3}\n')
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "c.jsonl.gz", gzip.compress(b'{"url": "http://c"}\n'))
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".git" / "d.txt", "http://hidden\n")
    os.mkfifo(tmp_path / "pipe.csv")
    rows = list(lists.read(tmp_path))
    assert urls(rows) == ["http://a", "http://b", "http://c"]
    assert [row.source for row in rows] == ["a.txt", "b.csv", "sub/c.jsonl.gz"]
    assert lists.size(tmp_path) == sum(path.stat().st_size for path in lists.find(tmp_path))


def test_a_broken_list_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "colour\nred\n")
    write(tmp_path / "b.csv", "url\nhttp://b\n")
    rows = lists.read(tmp_path)
    assert urls([next(rows)]) == ["http://b"]
    with pytest.raises(SourceError, match=r"1 of 2 lists.*colour"):
        next(rows)


@pytest.mark.parametrize("kind", [*LISTS, "parquet", "txt"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({"url": [URL, f"{URL}?2"]}), sink)
        data = sink.getvalue()
    else:
        data = LISTS.get(kind, f"{URL}\n{URL}?2\n").encode()
    for packed in (data, gzip.compress(data)):
        stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(packed)))
        monkeypatch.setattr(sys, "stdin", stream)
        rows = list(lists.read("-"))
        assert urls(rows) == [URL, f"{URL}?2"]
        assert rows[0].source == "stdin"


def test_a_slow_pipe_gives_each_row_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        rows = lists.read("-")
        late = threading.Timer(20, os.close, [writing])  # ends the test if a row were held back
        late.start()
        for number in range(3):
            os.write(writing, b'{"url": "http')
            os.write(writing, b'://%d"}\n' % number)
            assert urls([next(rows)]) == [f"http://{number}"]
        assert late.is_alive()
        late.cancel()
        os.close(writing)
        assert list(rows) == []


def test_a_named_pipe_can_be_a_list(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(LISTS["csv"],))
    writer.start()
    assert urls(list(lists.read(pipe))) == [URL, f"{URL}?2"]
    writer.join()


def test_the_meter_counts_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "l.txt.gz", gzip.compress(b"http://a\n" * 50_000))
    meter = streams.Meter()
    list(lists.read(path, meter=meter))
    assert meter.done == lists.size(path)


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@FILES
@given(st.lists(st.tuples(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3)), max_size=8))
def test_json_lines_carry_any_text(tmp_path: Path, texts: list[tuple[str, dict]]) -> None:
    objects = [{**more, "url": URL, "alt_text": alt} for alt, more in texts]
    data = "".join(
        json.dumps(each, ensure_ascii=bool(i % 2)) + "\n" for i, each in enumerate(objects)
    )
    rows = list(lists.read(write(tmp_path / "l.jsonl", data), columns=Columns("url", "alt_text")))
    assert [(row.url, row.alt_text) for row in rows] == [
        (URL, alt if alt.strip() else None) for alt, _ in texts
    ]


@FILES
@given(st.lists(ANY_TEXT, min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_csv_carries_any_text(tmp_path: Path, texts: list[str], end: str) -> None:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["url", "caption", "n"])
    writer.writerows([URL, text, number] for number, text in enumerate(texts))
    rows = list(lists.read(write(tmp_path / "l.csv", sink.getvalue())))
    assert [row.alt_text for row in rows] == [text if text.strip() else None for text in texts]
    assert [row.extra["n"] for row in rows] == [str(number) for number in range(len(texts))]
