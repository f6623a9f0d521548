"""Pictures with known text, drawn onto the photographs of examples/: the same seed, the same text.

Four kinds: `sign`, a plate with few large words; `caption`, words straight on the photograph;
`label`, small print on price tags and labels; `page`, a sheet of prose, unevenly lit. Each is
turned by a few degrees, of weak or strong contrast, noisy, and encoded as JPEG. The fonts come with
packages from PyPI:

    pip install font-roboto font-source-serif-pro font-caladea font-lato font-fredoka-one \\
        font-amatic-sc
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling
from words import PHRASES, SENTENCES

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = ("sign", "caption", "label", "page")
FONTS = (
    ("font_roboto", "Roboto-Regular"),
    ("font_roboto", "Roboto-Bold"),
    ("font_roboto", "Roboto-Italic"),
    ("font_source_serif_pro", "SourceSerifPro-Regular"),
    ("font_source_serif_pro", "SourceSerifPro-Bold"),
    ("font_source_serif_pro", "SourceSerifPro-It"),
    ("font_caladea", "Caladea-Regular"),
    ("font_caladea", "Caladea-Italic"),
    ("font_lato", "Lato-Regular"),
    ("font_lato", "Lato-Bold"),
    ("font_fredoka_one", "FredokaOne-Regular"),
    ("font_amatic_sc", "AmaticSC-Bold"),
)
CAPITALS = ("Amatic SC",)  # families whose small letters are capitals
TEXT_FONTS = FONTS[:10]  # those that small print and prose are set in
# Photographs of examples/ without any lettering.
PLAIN = (
    *("bird", "brushes", "cat", "coffee", "dogs", "fig"),
    *("flower", "mountains", "raccoon", "retina", "temple", "wine"),
)
_LONG = (768, 1024)
_QUALITY = (75, 95)
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Lettered:
    """A picture and the lines of text on it, in reading order."""

    kind: str
    jpeg: bytes
    lines: tuple[str, ...]


def make(count: int, *, seed: int) -> list[Lettered]:
    """As many pictures, the kinds in turn.

    Raises:
        FileNotFoundError: a font's package is not installed.
    """
    drawn = {"sign": _sign, "caption": _caption, "label": _label, "page": _page}
    pictures = []
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        kind = KINDS[number % len(KINDS)]
        picture, lines = drawn[kind](chance)
        file = BytesIO()
        _worn(picture, chance).save(file, "JPEG", quality=chance.randint(*_QUALITY))
        pictures.append(Lettered(kind, file.getvalue(), tuple(lines)))
    return pictures


def _font(
    chance: random.Random, size: int, among: Sequence[tuple[str, str]]
) -> ImageFont.FreeTypeFont:
    package, name = chance.choice(among)
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"pip install {package.replace('_', '-')}: it brings a font")
    (path,) = Path(spec.submodule_search_locations[0]).rglob(f"{name}.ttf")
    return ImageFont.truetype(str(path), size)


def _photograph(chance: random.Random) -> Image.Image:
    with Image.open(EXAMPLES / f"{chance.choice(PLAIN)}.jpg") as photograph:
        picture = photograph.convert("RGB")
    ratio = chance.randint(*_LONG) / max(picture.size)
    width, height = (round(side * ratio) for side in picture.size)
    return picture.resize((width, height), Resampling.LANCZOS)


def _colours(chance: random.Random) -> tuple[Colour, Colour]:
    """Ink and paper, from barely to starkly different; either may be the darker one."""
    gap = chance.uniform(70, 230)
    dark = chance.uniform(10, 245 - gap)
    tint = [chance.uniform(-15, 15) for _ in range(6)]
    low = tuple(int(np.clip(dark + each, 0, 255)) for each in tint[:3])
    high = tuple(int(np.clip(dark + gap + each, 0, 255)) for each in tint[3:])
    pair = (low, high) if chance.random() < 0.6 else (high, low)
    return (pair[0][0], pair[0][1], pair[0][2]), (pair[1][0], pair[1][1], pair[1][2])


def _block(
    lines: Sequence[str],
    font: ImageFont.FreeTypeFont,
    ink: Colour,
    paper: Colour | None,
    outline: int = 0,
) -> Image.Image:
    """The lines below each other, on a plate or, with no paper, on nothing."""
    step = round(font.size * 1.35)
    pad = round(font.size * 0.6)
    width = max(round(font.getlength(line)) for line in lines) + 2 * pad
    block = Image.new("RGBA", (width, step * len(lines) + 2 * pad), (*(paper or ink), 0))
    draw = ImageDraw.Draw(block)
    if paper is not None:
        draw.rounded_rectangle((0, 0, *block.size), pad // 2, fill=(*paper, 255))
    for row, line in enumerate(lines):
        edge = tuple(255 - each for each in ink)
        at = (pad, pad + row * step)
        draw.text(at, line, font=font, fill=(*ink, 255), stroke_width=outline, stroke_fill=edge)
    return block


def _paste(
    picture: Image.Image, block: Image.Image, area: tuple[int, int, int, int], chance: random.Random
) -> bool:
    """Turn the block a little and put it somewhere into the area, if it fits there."""
    block = block.rotate(chance.uniform(-6, 6), Resampling.BICUBIC, expand=True)
    left, top, right, bottom = area
    if block.width > right - left or block.height > bottom - top:
        return False
    at = chance.randint(left, right - block.width), chance.randint(top, bottom - block.height)
    picture.paste(block, at, block)
    return True


def _fitting(
    picture: Image.Image, chance: random.Random, sizes: tuple[int, int], rows: int, plate: bool
) -> list[str]:
    """Draw up to so many phrases as large as the chosen size, smaller until they fit."""
    lines = chance.sample(PHRASES, rows)
    ink, paper = _colours(chance)
    if not plate:  # the photograph is the paper: ink as far from it as can be
        shade = float(np.asarray(picture.convert("L")).mean())
        ink = (245, 245, 240) if shade < 128 else (15, 15, 20)
    outline = 0 if plate else chance.randint(0, 2)
    font = _font(chance, chance.randint(*sizes), FONTS)
    if font.getname()[0] in CAPITALS:
        lines = [line.upper() for line in lines]
    while True:
        block = _block(lines, font, ink, paper if plate else None, outline)
        if _paste(picture, block, (0, 0, *picture.size), chance):
            return lines
        font = font.font_variant(size=int(font.size * 0.85))


def _sign(chance: random.Random) -> tuple[Image.Image, list[str]]:
    picture = _photograph(chance)
    return picture, _fitting(picture, chance, (40, 90), chance.randint(1, 3), plate=True)


def _caption(chance: random.Random) -> tuple[Image.Image, list[str]]:
    picture = _photograph(chance)
    return picture, _fitting(picture, chance, (24, 56), chance.randint(1, 2), plate=False)


def _label(chance: random.Random) -> tuple[Image.Image, list[str]]:
    """Small print, each label in a band of its own so that the reading order is certain."""
    picture = _photograph(chance)
    count = chance.randint(1, 4)
    band = picture.height // count
    lines: list[str] = []
    for number in range(count):
        own = chance.sample(PHRASES, chance.randint(1, 2))
        font = _font(chance, chance.randint(11, 18), TEXT_FONTS)
        block = _block(own, font, *_colours(chance))
        if _paste(picture, block, (0, number * band, picture.width, (number + 1) * band), chance):
            lines += own
    return picture, lines


def _page(chance: random.Random) -> tuple[Image.Image, list[str]]:
    """A sheet of prose that fills the picture."""
    long = chance.randint(*_LONG)
    size = (long, round(long * 0.75)) if chance.random() < 0.5 else (round(long * 0.75), long)
    ink, paper = sorted(_colours(chance), key=sum)
    font = _font(chance, chance.randint(16, 28), TEXT_FONTS)
    text = " ".join(chance.sample(SENTENCES, len(SENTENCES))).split()
    lines: list[str] = []
    rows = chance.randint(6, 14)
    width = size[0] * 0.86
    while text and len(lines) < rows:
        line = [text.pop(0)]
        while text and font.getlength(" ".join([*line, text[0]])) < width:
            line.append(text.pop(0))
        lines.append(" ".join(line))
    block = _block(lines, font, ink, None).rotate(chance.uniform(-2, 2), Resampling.BICUBIC)
    picture = Image.new("RGB", size, paper)
    while block.height > size[1]:  # never more rows than there is room for
        return _page(chance)
    picture.paste(block, ((size[0] - block.width) // 2, (size[1] - block.height) // 2), block)
    return _unevenly_lit(picture, chance), lines


def _unevenly_lit(picture: Image.Image, chance: random.Random) -> Image.Image:
    width, height = picture.size
    across = np.linspace(chance.uniform(0.65, 1), chance.uniform(0.65, 1), width)
    down = np.linspace(chance.uniform(0.8, 1), chance.uniform(0.8, 1), height)
    light = (across[None, :] * down[:, None])[..., None]
    return Image.fromarray((np.asarray(picture) * light).astype(np.uint8))


def _worn(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Sensor noise on it."""
    noise = np.random.default_rng(chance.randrange(2**32))
    pixels = np.asarray(picture, np.float32)
    pixels = pixels + noise.normal(0, chance.uniform(0, 10), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
