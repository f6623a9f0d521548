"""The words that a zero-shot tagger chooses from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engines import detection, tagging
from engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tags, and coarser nouns that are tags of their own sort; no word twice in either."""

    tags: tuple[str, ...]
    kinds: tuple[str, ...] = ()


def built_in() -> Vocabulary:
    """The classes of ImageNet and of COCO, and ImageNet's kinds."""
    classes = tagging.load_labels()
    objects = [label for label in detection.load_labels() if label]
    return Vocabulary(
        _once([*(each.label for each in classes), *objects]),
        _once(kind for each in classes for kind in each.kinds),
    )


def read(path: Path) -> Vocabulary:
    """One tag a line; empty lines and those that begin with # are left out.

    Raises:
        EngineError: it cannot be read, or has no tag.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"cannot read the vocabulary {path}: {error}") from error
    tags = _once(line for line in lines if line and not line.startswith("#"))
    if not tags:
        raise EngineError(f"the vocabulary {path} has no tag in it")
    return Vocabulary(tags)


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
