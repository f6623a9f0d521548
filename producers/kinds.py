"""Kinds of lists, told by a file's name or by its first line."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

from densefusion.errors import SourceError
from producers import rows
from producers.streams import COMPRESSED

KINDS = ("parquet", "csv", "tsv", "jsonl", "json", "txt")

_SUFFIXES = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".txt": "txt", ".urls": "txt", ".lst": "txt", ".list": "txt",
}  # fmt: skip


def stem_and_suffix(path: PurePath) -> tuple[str, str]:
    """Name and suffix without a suffix of compression: ``a.csv.gz`` gives ``a``, ``.csv``."""
    name = PurePath(path.name)
    if name.suffix.lower() in COMPRESSED:
        name = PurePath(name.stem)
    return name.stem, name.suffix.lower()


def of_name(path: str | Path) -> str | None:
    """The kind that a file's name says, if it says one."""
    return _SUFFIXES.get(stem_and_suffix(PurePath(path))[1])


def first_line(head: bytes) -> bytes:
    """The first line of `head` that is neither blank nor a comment, without its end."""
    for line in head.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.strip() and not line.lstrip().startswith(b"#"):
            return line
    return b""


def is_enough(head: bytes) -> bool:
    """Whether `head` holds a whole line that tells the kind."""
    whole = head[: head.rfind(b"\n") + 1]
    return head.startswith(b"PAR1") or bool(first_line(whole))


def of_content(head: bytes, where: str) -> str:
    """The kind that the first bytes say.

    Raises:
        SourceError: they say none.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    line = first_line(head)
    if not line:
        return "txt"
    if line.lstrip().startswith(b"["):
        return "json"
    if line.lstrip().startswith(b"{"):
        return "jsonl"
    return _of_text(line.decode("utf-8", "replace"), where)


def is_json_lines(head: bytes) -> bool:
    """Whether a ``.json`` file holds an object a line, rather than one value."""
    line = first_line(head)
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        # One object over several lines, unless a single line is longer than the head.
        return b"\n" not in head


def _of_text(line: str, where: str) -> str:
    if "\t" in line.strip():
        return "tsv"
    text = line.strip()
    if rows.has_scheme(text):
        # A URL has no spaces; "URL,some words" has.
        return "csv" if "," in text and (" " in text or '"' in text) else "txt"
    if any(mark in text for mark in ",;|") or text.isidentifier():
        return "csv"
    if of_name(where) == "txt":
        return "txt"
    raise SourceError(
        f"cannot tell what kind of list {where} is; say it with --kind ({', '.join(KINDS)})"
    )
