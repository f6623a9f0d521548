from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from densefusion.errors import SourceError
from producers.rows import BadRow, Row
from producers.sources import open_source


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    top = tmp_path / "photos"
    (top / "sub").mkdir(parents=True)
    (top / "b.jpg").write_bytes(b"b")
    (top / "a.PNG").write_bytes(b"a")
    (top / "sub" / "c.webp").write_bytes(b"c")
    return top


def bodies(rows: list[Row | BadRow]) -> list[bytes]:
    return [urllib.request.urlopen(row.url, timeout=10).read() for row in rows]


def test_a_folder_of_images_with_texts_beside_them(photos: Path) -> None:
    (photos / "b.txt").write_text("a bee\n")
    (photos / "a.PNG.txt").write_bytes(b"http://not-a-list \xff")
    (photos / "README.txt").write_text("nothing")
    (photos / ".d.jpg").write_bytes(b"hidden")
    (photos.parent / "secret.txt").write_text("secret")
    (photos / "sub" / "c.txt").symlink_to(photos.parent / "secret.txt")
    with open_source(photos, port=0) as source:
        rows = list(source.rows)
        assert source.total == 3
        assert "folder of images" in source.says and "3 files" in source.says
        assert bodies(rows) == [b"a", b"b", b"c"]
    assert [row.alt_text for row in rows] == ["http://not-a-list \ufffd", "a bee", None]
    assert [row.extra["file"] for row in rows] == ["a.PNG", "b.jpg", "sub/c.webp"]


def test_a_folder_with_a_list_of_file_names(photos: Path) -> None:
    lines = [
        {"file_name": "b.jpg", "text": "bee"},
        {"file_name": "sub/c.webp", "text": "sea"},
        {"file_name": "missing.jpg", "text": "?"},
        {"file_name": "../../etc/passwd", "text": "?"},
        {"file_name": "http://far/away.jpg", "text": "far"},
    ]
    (photos / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (photos / "sub" / "list.csv").write_text("url,alt\n../a.PNG,ah\nc.webp,see\n")
    with open_source(photos, port=0) as source:
        rows = list(source.rows)
        assert bodies([rows[i] for i in (0, 1, 5, 6)]) == [b"b", b"c", b"a", b"c"]
    assert [type(row) for row in rows] == [Row, Row, BadRow, BadRow, Row, Row, Row]
    assert [row.alt_text for row in rows if isinstance(row, Row)] == [
        "bee", "sea", "far", "ah", "see",
    ]  # fmt: skip
    assert rows[4].url == "http://far/away.jpg"
    assert rows[0].extra == {"file": "b.jpg"}


@pytest.mark.parametrize("name", ["list.csv", "list.txt"])
def test_a_list_file_of_file_names(photos: Path, name: str) -> None:
    (photos / name).write_text("url\nb.jpg\na.PNG\n" if name == "list.csv" else "b.jpg\na.PNG\n")
    with open_source(photos / name, port=0) as source:
        assert source.server is not None
        assert bodies(list(source.rows)) == [b"b", b"a"]


def test_a_table_without_urls_among_images_is_no_list(photos: Path) -> None:
    (photos / "labels.csv").write_text("label,score\nbee,1\n")
    with open_source(photos, port=0) as source:
        assert len(list(source.rows)) == 3


def test_a_single_image(photos: Path) -> None:
    with open_source(photos / "b.jpg", port=0) as source:
        assert bodies(list(source.rows)) == [b"b"]


def test_lists_of_urls_need_no_server(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("url\nhttp://a\n")
    for argument in (tmp_path, tmp_path / "l.csv", str(tmp_path / "l.csv")):
        with open_source(argument) as source:
            assert source.server is None
            assert source.size == 13
            assert [row.url for row in source.rows] == ["http://a"]
            assert source.meter.done == source.size


def test_a_url_itself() -> None:
    source = open_source("https://example.org/a b.jpg")
    assert [row.url for row in source.rows] == ["https://example.org/a b.jpg"]
    assert source.total == 1


def test_a_pipe_is_not_looked_into(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"url\nhttp://a\n")
    os.close(writing)
    with os.fdopen(reading), open_source(f"/dev/fd/{reading}") as source:
        assert [row.url for row in source.rows] == ["http://a"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file"):
        open_source(tmp_path / "missing")
    with pytest.raises(SourceError, match="neither"):
        open_source(tmp_path)


def test_the_examples_of_the_project() -> None:
    top = Path(__file__).parents[2] / "examples"
    with open_source(top, port=0) as source:
        rows = list(source.rows)
        assert rows and all(isinstance(row, Row) for row in rows)
        assert all(body[:2] == b"\xff\xd8" for body in bodies(rows))
