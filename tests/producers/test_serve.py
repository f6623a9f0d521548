from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from densefusion.errors import SourceError
from producers.serve import FolderServer


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "photos"
    (top / "sub dir").mkdir(parents=True)
    (top / ".hidden").mkdir()
    (top / "cat.jpg").write_bytes(b"cat")
    (top / "sub dir" / "ä?#%.PNG").write_bytes(b"x" * 1_000_000)
    (top / "notes.txt").write_text("secret")
    (top / ".dot.jpg").write_text("secret")
    (top / ".hidden" / "h.jpg").write_text("secret")
    (tmp_path / "outside.jpg").write_text("secret")
    (tmp_path / "photos2").mkdir()
    (tmp_path / "photos2" / "x.jpg").write_text("secret")
    (top / "escape.jpg").symlink_to(tmp_path / "outside.jpg")
    (top / "away").symlink_to(tmp_path / "photos2")
    (top / "inner.jpg").symlink_to(top / "cat.jpg")
    (top / "text.jpg").symlink_to(top / "notes.txt")
    (top / "loop.jpg").symlink_to(top / "loop.jpg")
    (top / "folder.jpg").mkdir()
    os.mkfifo(top / "pipe.jpg")
    return top


@pytest.fixture
def server(top: Path) -> Iterator[FolderServer]:
    with FolderServer(top, port=0) as server:
        yield server


def ask(server: FolderServer, target: str, method: str = "GET") -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, target, skip_accept_encoding=True)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, response.getheader("Content-Type")


def test_images_are_served_with_their_type(server: FolderServer, top: Path) -> None:
    url = server.url(Path("cat.jpg"))
    assert url == f"http://127.0.0.1:{server.port}/{server.tag}/cat.jpg"
    assert ask(server, urlsplit(url).path) == (200, b"cat", "image/jpeg")
    odd = server.url(Path("sub dir/ä?#%.PNG"))
    assert odd is not None and odd.isascii()
    assert ask(server, urlsplit(odd).path) == (200, b"x" * 1_000_000, "image/png")
    assert ask(server, urlsplit(url).path + "?width=3")[0] == 200
    assert ask(server, f"/{server.tag}/inner.jpg")[1] == b"cat"


def test_head_and_other_methods(server: FolderServer) -> None:
    assert ask(server, f"/{server.tag}/cat.jpg", "HEAD") == (200, b"", "image/jpeg")
    assert ask(server, f"/{server.tag}/cat.jpg", "POST")[0] == 405
    assert ask(server, f"/{server.tag}/cat.jpg", "DELETE")[0] == 405


@pytest.mark.parametrize(
    "name",
    [
        "../outside.jpg", "%2e%2e/outside.jpg", "..%2foutside.jpg", "sub dir/../../outside.jpg",
        "sub%20dir/..%2f..%2foutside.jpg", "../photos2/x.jpg", "%2e%2e%2fphotos2%2fx.jpg",
        "%252e%252e/outside.jpg", "..\\outside.jpg", "..%5coutside.jpg", "//etc/passwd",
        "%2fetc%2fpasswd", "escape.jpg", "away/x.jpg", "text.jpg", "loop.jpg", "folder.jpg",
        "pipe.jpg", "notes.txt", ".dot.jpg", ".hidden/h.jpg", "cat.jpg%00.png", "cat.jpg/",
        "./cat.jpg", "", "sub%20dir", "missing.jpg", "a" * 5000 + ".jpg", "%ff%fe.jpg",
    ],
)  # fmt: skip
def test_nothing_else_can_be_had(server: FolderServer, name: str) -> None:
    status, body, _ = ask(server, f"/{server.tag}/{name.replace(' ', '%20')}")
    assert status in (400, 404)
    assert b"secret" not in body and b"root:" not in body


@pytest.mark.parametrize("target", ["/", "/cat.jpg", "/wrong/cat.jpg", "*", "http://x/cat.jpg"])
def test_targets_without_the_tag(server: FolderServer, target: str) -> None:
    assert ask(server, target)[0] in (400, 404)


def test_raw_traversal_on_the_wire(server: FolderServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        request = (
            f"GET /{server.tag}/../../outside.jpg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        wire.sendall(request.encode())
        answer = b"".join(iter(lambda: wire.recv(4096), b""))
    assert b" 404 " in answer and b"secret" not in answer


def test_a_precompressed_neighbour_is_not_served_instead(server: FolderServer, top: Path) -> None:
    (top / "cat.jpg.gz").symlink_to(top.parent / "outside.jpg")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"/{server.tag}/cat.jpg", headers={"Accept-Encoding": "gzip"})
    assert connection.getresponse().read() == b"cat"
    connection.close()


def test_files_that_are_not_served_have_no_url(server: FolderServer, top: Path) -> None:
    for name in ("escape.jpg", "notes.txt", ".dot.jpg", "missing.jpg", "../outside.jpg"):
        assert server.url(Path(name)) is None
    assert server.url(top / "sub dir" / ".." / "cat.jpg") == server.url(Path("cat.jpg"))


def test_a_client_that_leaves_does_no_harm(server: FolderServer, top: Path) -> None:
    (top / "big.jpg").write_bytes(b"x" * 20_000_000)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
            wire.sendall(f"GET /{server.tag}/big.jpg HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wire.recv(100)
    assert ask(server, f"/{server.tag}/cat.jpg")[0] == 200


def test_urls_are_the_same_in_the_next_run(top: Path) -> None:
    with FolderServer(top, port=0) as server:
        port, before = server.port, server.url(Path("cat.jpg"))
    with FolderServer(top / "sub dir" / "..", port=port) as server:
        assert server.url(Path("cat.jpg")) == before


def test_folders_do_not_share_urls(top: Path) -> None:
    with FolderServer(top, port=0) as one, FolderServer(top.parent, port=0) as two:
        assert one.tag != two.tag


def test_a_taken_port(top: Path, server: FolderServer) -> None:
    with pytest.raises(SourceError, match="listen"):
        FolderServer(top, port=server.port)
    # Without a port asked for, the default one may be taken as well: any other will do.
    with FolderServer(top) as one, FolderServer(top) as two:
        assert one.port != two.port


def test_it_stops(top: Path) -> None:
    server = FolderServer(top, port=0).start()
    server.stop()
    server.stop()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)
    FolderServer(top, port=0).stop()
