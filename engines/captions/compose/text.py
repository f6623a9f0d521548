"""Sentences about the text that was read in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.captions.compose.evidence import Box, Line
from engines.captions.compose.grammar import listed, number
from engines.captions.compose.places import place, union
from engines.captions.compose.quotes import capped, quoted

_MAX_BLOCKS = 4
_MAX_BLOCK = 200  # characters quoted of one block
_MAX_QUOTED = 600
_MAX_BLOCK_LINES = 6
_PAGE_LINES = 8
_PAGE_AREA = 0.3
_FAINT = 20  # pixels of height, below which letters are easily misread
_UNSURE = 0.8
_LONG_LINE = 25
_PAGE_OPENING = 240
_SHORT_PAGE = 12


@dataclass(slots=True)
class Block:
    """Lines that stand together, from the top down."""

    lines: list[Line]

    @property
    def box(self) -> Box:
        return union([line.box for line in self.lines])

    @property
    def size(self) -> float:
        return max(line.size for line in self.lines)

    def text(self) -> str:
        """The lines in one, with " / " where a new line is more than running on."""
        joined = self.lines[0].text
        widest = max(line.box.width for line in self.lines)
        for above, below in zip(self.lines, self.lines[1:], strict=False):
            full = above.box.width >= 0.8 * widest and len(above.text) >= _LONG_LINE
            alike = 0.8 < above.size / max(below.size, 1e-3) < 1.25
            runs_on = alike and (full or below.text[:1].islower())
            joined += (" " if runs_on else " / ") + below.text
        return joined


def blocks(lines: Sequence[Line]) -> list[Block]:
    """Lines in reading order, put together where one stands right below the other."""
    found: list[Block] = []
    for line in lines:
        home = next((block for block in reversed(found) if _continues(block, line)), None)
        if home is None:
            found.append(Block([line]))
        else:
            home.lines.append(line)
    return found


def _continues(block: Block, line: Line) -> bool:
    above = block.lines[-1]
    gap = line.box.y0 - above.box.y1
    height = max(min(above.size, line.size), 1e-3)
    across = min(above.box.x1, line.box.x1) - max(above.box.x0, line.box.x0)
    return (
        -0.6 * height < gap < 1.2 * height
        and line.box.cy > above.box.cy
        and max(above.size, line.size) < 2.5 * height
        and across > 0.3 * min(above.box.width, line.box.width)
    )


def is_page(lines: Sequence[Line]) -> bool:
    """Whether the picture is mainly text: many lines, which cover much of it."""
    if len(lines) < 5:
        return False
    around = union([line.box for line in lines])
    covered = sum(line.box.area for line in lines)
    words = sum(len(line.text) for line in lines)
    return (len(lines) >= _PAGE_LINES or words >= 150) and (
        around.area >= 0.4 and covered >= _PAGE_AREA * around.area
    )


def describe_page(lines: Sequence[Line]) -> str:
    """One sentence for a page of text: how much, and how it begins."""
    opening = capped(Block(list(lines[:_MAX_BLOCK_LINES])).text(), _PAGE_OPENING)
    if len(lines) <= _MAX_BLOCK_LINES and not opening.endswith("…"):
        return f"The picture shows a page of text, which reads {quoted(opening)}"
    extent = f" of {_lines(len(lines))}" if len(lines) > _SHORT_PAGE else ""
    return f"The picture shows a page of text{extent}, which begins {quoted(opening)}"


def describe(lines: Sequence[Line], height: int) -> list[str]:
    """Sentences that quote the text and say where it stands; the largest of it, if there is much.

    Quotes at most 600 characters. `height` is the picture's, in pixels.
    """
    found = blocks(lines)
    chosen = sorted(found, key=lambda block: -round(block.size, 2))[:_MAX_BLOCKS]
    chosen = [block for block in found if any(block is each for each in chosen)]
    if len(found) > _MAX_BLOCKS:
        return [_includes(chosen, len(found))]
    sentences: list[str] = []
    left = _MAX_QUOTED
    shown = 0
    for block in chosen:
        most = min(left, _MAX_BLOCK)
        if most < 20:
            break
        part = Block(block.lines[:_MAX_BLOCK_LINES])
        quote = capped(part.text(), most)
        left -= len(quote)
        shown += len(part.lines)
        sentences.append(_reads(block, quote, block.size * height < _FAINT, not sentences))
    rest = len(lines) - shown
    if rest > 0:
        more = "line" if rest == 1 else "lines"
        verb = "is" if rest == 1 else "are"
        sentences.append(f"There {verb} {_lines(rest).removesuffix(more)}more {more} of text")
    return sentences


def _includes(chosen: Sequence[Block], count: int) -> str:
    quotes = [
        quoted(capped(Block(block.lines[:_MAX_BLOCK_LINES]).text(), _MAX_QUOTED // _MAX_BLOCKS))
        for block in chosen
    ]
    return f"Text stands in {number(count)} places, and includes {listed(quotes)}"


def _reads(block: Block, quote: str, faint: bool, first: bool) -> str:
    kind = "small text" if faint else "text" if first else "other text"
    unsure = faint or min(line.score for line in block.lines) < _UNSURE
    return f"{place(block.box)}, {kind} {'seems to read' if unsure else 'reads'} {quoted(quote)}"


def _lines(count: int) -> str:
    return f"{number(count)} {'line' if count == 1 else 'lines'}"
