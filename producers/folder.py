"""Image files below a folder, and what may be seen of it from outside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from densefusion.errors import SourceError
from producers import rows

MIME = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".jpe": "image/jpeg", ".jfif": "image/jpeg",
    ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".bmp": "image/bmp",
    ".tif": "image/tiff", ".tiff": "image/tiff", ".avif": "image/avif", ".heic": "image/heic",
    ".heif": "image/heif", ".jxl": "image/jxl", ".jp2": "image/jp2",
}  # fmt: skip


def walk(top: Path) -> Iterator[Path]:
    """The files below `top`, sorted by name within each folder; hidden ones are skipped, and
    links to folders are not followed.

    Raises:
        SourceError: a folder cannot be read.
    """

    def failed(error: OSError) -> None:
        raise SourceError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    for root, folders, files in os.walk(top, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root, name)


def images(top: Path) -> Iterator[Path]:
    """The image files below `top` (told by their names), as paths that start with `top`."""
    root = top.resolve()
    for path in walk(top):
        if inside(root, path) is not None:
            yield path


def inside(root: Path, path: Path) -> Path | None:
    """The real path of an image file, if that lies below `root` and nothing in it is hidden.

    Args:
        root: a real path (resolved).
    """
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root) or not stat.S_ISREG(real.stat().st_mode):
            return None
    except (OSError, RuntimeError, ValueError):  # missing, a loop of links, a NUL in the name
        return None
    if any(part.startswith(".") for part in real.relative_to(root).parts):
        return None
    return real if {real.suffix.lower(), path.suffix.lower()} <= MIME.keys() else None


def has_image(text: Path) -> bool:
    """Whether a text file belongs to an image: ``cat.txt`` or ``cat.jpg.txt`` to ``cat.jpg``."""
    if text.with_suffix("").suffix.lower() in MIME:
        return text.with_suffix("").exists()
    forms = (suffix for lower in MIME for suffix in (lower, lower.upper()))
    return any(text.with_suffix(suffix).exists() for suffix in forms)


def alt_text(image: Path) -> str | None:
    """The text in the file beside an image (see `has_image`), if there is one."""
    for path in (image.with_suffix(".txt"), image.with_name(image.name + ".txt")):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with path.open("rb") as file:
                data = file.read(rows.ALT_TEXT_BYTES)
        except OSError:
            continue
        text = data.decode("utf-8-sig", "replace").strip()
        return rows.cap(text, rows.ALT_TEXT_BYTES) or None
    return None
