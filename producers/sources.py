"""What a source argument means: a list, a folder of lists, a folder of images, standard input, or
an image's own URL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from densefusion.errors import SourceError
from producers import folder, lists, rows
from producers.columns import Columns
from producers.rows import BadRow, Row
from producers.serve import FolderServer
from producers.streams import Meter

_LOOKED_AT = 20
_EXTRA_FILE = "file"


@dataclass(frozen=True, slots=True)
class _Options:
    kind: str | None
    columns: Columns | None
    port: int | None
    host: str

    def read(self, path: Path | str, meter: Meter) -> Iterator[Row | BadRow]:
        return lists.read(path, kind=self.kind, columns=self.columns, meter=meter)

    def first(self, path: Path) -> list[Row | BadRow]:
        try:
            read = lists.read_file(path, path.name, kind=self.kind, columns=self.columns)
            return list(itertools.islice(read, _LOOKED_AT))
        except SourceError:
            return []  # reading it in earnest says why

    def serve(self, top: Path) -> FolderServer:
        return FolderServer(top, port=self.port, host=self.host).start()


@dataclass(slots=True)
class Source:
    """An opened source. Its `server` must stay up until the images have been fetched.

    `total` is the number of rows and `size` the bytes that `meter` counts up to, where known.
    """

    says: str
    rows: Iterator[Row | BadRow]
    total: int | None = None
    size: int | None = None
    meter: Meter = field(default_factory=Meter)
    server: FolderServer | None = None

    def close(self) -> None:
        """Stops the server, if there is one."""
        if self.server is not None:
            self.server.stop()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_source(
    argument: str | Path,
    *,
    kind: str | None = None,
    columns: Columns | None = None,
    port: int | None = None,
    host: str = "127.0.0.1",
) -> Source:
    """Opens what `argument` names, and says in one line what that is.

    Lists whose URL column holds names of image files beside them (or below their folder) are
    served like a folder of images, with the lists' alt texts.

    Args:
        kind, columns: as for `lists.read`.
        port, host: where local images are served, see `FolderServer`.

    Raises:
        SourceError: there is no such file, or nothing in it to read.
    """
    text = str(argument)
    options = _Options(kind, columns, port, host)
    if text == lists.STDIN:
        meter = Meter()
        return Source("a list from standard input", options.read(text, meter), meter=meter)
    if rows.has_scheme(text):
        return Source("one URL", iter([Row(text.strip(), source="command line")]), total=1)
    path = Path(argument)
    if path.is_dir():
        return _open_folder(path, options)
    if not path.exists():
        raise SourceError(f"there is no file or folder {path}")
    if kind is None and path.suffix.lower() in folder.MIME:
        return _open_images(path.parent, [path], f"the image {path}", options)
    return _open_lists(path, path.parent, options)


def _open_folder(top: Path, options: _Options) -> Source:
    found = list(itertools.islice(lists.find(top), _LOOKED_AT))
    usable = [path for path in found if _is_usable(path, options)]
    has_images = next(folder.images(top), None) is not None
    # Next to images, a table without URLs (labels, statistics) is not a reason to stop.
    if usable or (found and not has_images):
        return _open_lists(top, top, options)
    if not has_images:
        raise SourceError(f"{top} holds neither URL lists nor images")
    return _open_images(top, None, f"a folder of images, {top}", options)


def _open_lists(path: Path, top: Path, options: _Options) -> Source:
    meter = Meter()
    read = options.read(path, meter)
    # Only files are looked into beforehand: a pipe can be read once.
    looked_into = itertools.islice(lists.find(path), _LOOKED_AT) if path.is_dir() else [path]
    is_local = any(_names_files(each, top, options) for each in looked_into if each.is_file())
    what = "a folder of lists" if path.is_dir() else "a list"
    total = lists.count(path)
    source = Source(f"{what}, {path}", read, total, lists.size(path) or None, meter)
    if total is not None:
        source.size = None  # Parquet counts in rows
    if is_local:
        source.server = options.serve(top)
        source.rows = _resolved(read, path, source.server)
        source.says += f", naming files in {top} (served at port {source.server.port})"
    return source


def _open_images(top: Path, only: list[Path] | None, says: str, options: _Options) -> Source:
    chosen = only if only is not None else folder.images(top)
    total = sum(1 for _ in (only if only is not None else folder.images(top)))
    server = options.serve(top)
    says = f"{says} ({total} files, served at port {server.port})"
    return Source(says, _image_rows(top, iter(chosen), server), total=total, server=server)


def _image_rows(top: Path, images: Iterator[Path], server: FolderServer) -> Iterator[Row | BadRow]:
    name = top.resolve().name
    for path in images:
        relative = path.relative_to(top)
        url = server.url(relative)
        shown = rows.cap(str(relative), rows.URL_BYTES)
        if url is None:
            yield BadRow("not a file that can be served", shown, name)
        else:
            extra = {_EXTRA_FILE: rows.cap(shown, rows.EXTRA_BYTES)}
            yield Row(url, folder.alt_text(path), None, name, extra)


def _resolved(
    read: Iterator[Row | BadRow], path: Path, server: FolderServer
) -> Iterator[Row | BadRow]:
    """The rows, with the names of files as URLs of the server."""
    for row in read:
        if isinstance(row, BadRow) or rows.has_scheme(row.url) or not row.url:
            yield row
            continue
        base = (path / row.source).parent if path.is_dir() else path.parent
        url = server.url(base.resolve() / row.url) or server.url(Path(row.url))
        if url is None:
            yield BadRow("names no image file below the folder", row.url, row.source)
        else:
            extra = {**row.extra, _EXTRA_FILE: rows.cap(row.url, rows.EXTRA_BYTES)}
            yield replace(row, url=url, extra=extra)


def _names_files(path: Path, top: Path, options: _Options) -> bool:
    """Whether one of the list's first rows names an image file instead of a URL."""
    root = top.resolve()
    for row in options.first(path):
        if isinstance(row, BadRow) or not row.url or rows.has_scheme(row.url):
            continue
        bases = (path.parent.resolve(), root)
        if any(folder.inside(root, base / row.url) is not None for base in bases):
            return True
    return False


def _is_usable(path: Path, options: _Options) -> bool:
    """Whether the list has rows whose URLs are URLs, or names of files."""
    if _names_files(path, path.parent, options):
        return True
    return any(isinstance(row, Row) and rows.has_scheme(row.url) for row in options.first(path))
