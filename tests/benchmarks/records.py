"""Valid records, cheaply: what differs from image to image is put in front of a body made once.

An Avro record is its fields one after the other. A prior and a caption begin with the image's id,
partition and offset, and an image with its id, so a record is: framing, these, and the rest of one
of a few dozen bodies. Writing one takes a microsecond.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contenders import wire

from schemas import Codec

_BODIES = 37  # different ones of each kind; a prime, so that they do not go round in step
_WORDS = [
    "river", "stone", "wooden", "bridge", "autumn", "tree", "light", "window", "table", "glass",
    "bottle", "paper", "street", "market", "bicycle", "station", "mountain", "harbour",
    "lantern", "garden", "painting", "portrait", "coffee", "orange", "umbrella",
]  # fmt: skip
_ID = 64
_SAME = ("image_id", "partition", "offset", "object_key", "text", "status")
_FRAME = 10


class Bodies:
    """Bodies of one schema, without the fields in front that differ.

    Raises:
        ValueError: these fields are not in front any more.
    """

    def __init__(
        self, codec: Codec, schema: str, values: Sequence[Mapping[str, Any]], *, placed: bool
    ) -> None:
        ahead = _FRAME + 2 + _ID + (2 if placed else 0)  # partition and offset 0: one byte each
        encoded = [codec.encode(schema, value, "") for value in values]
        self.frame = encoded[0][:_FRAME]
        self._placed = placed
        self._bodies = [each[ahead:] for each in encoded]
        name = image_id(1 << 33)
        read = codec.decode(schema, self.record(name, 3, 300, body=0))
        expected = {**values[0], "image_id": name}
        if placed:
            expected |= {"partition": 3, "offset": 300}
        if any(read[field] != expected[field] for field in _SAME if field in expected):
            raise ValueError(f"{schema} no longer begins as these bodies take it to")

    def record(self, image_id: str, partition: int, offset: int, *, body: int) -> bytes:
        """The framed record of an image at a place on ``images``."""
        at = long(partition) + long(offset) if self._placed else b""
        rest = self._bodies[body % len(self._bodies)]
        return b"".join((self.frame, _ID_LENGTH, image_id.encode(), at, rest))


def long(number: int) -> bytes:
    """An Avro int or long, not negative: zigzag, then seven bits a byte, lowest first."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_ID_LENGTH = long(_ID)


def image_id(number: int) -> str:
    """An id that is like a hash, and says its number in its first 12 digits."""
    return f"{number:012x}{number * 0x9E3779B97F4A7C15 & (1 << 208) - 1:052x}"


class Records:
    """Images, priors and captions. `keys`: objects that the images are said to lie under."""

    def __init__(self, keys: Sequence[str] = ("images/00/00/none",)) -> None:
        chance, writer = random.Random(5), wire.codec()
        count = _BODIES * len(keys)
        images = [_image(chance, keys[at % len(keys)]) for at in range(count)]
        self.images = Bodies(writer, "Image", images, placed=False)
        self.priors = {
            name: Bodies(
                writer, f"Prior:{name}",
                [_prior(chance, name, keys[at % len(keys)]) for at in range(count)], placed=True,
            )
            for name in wire.EXPERTS
        }  # fmt: skip
        captions = []
        for at in range(_BODIES):
            priors = {
                name: self.priors[name].record(image_id(at), 0, 0, body=at)
                for name in wire.EXPERTS[:2]  # a million captions have to lie somewhere
            }
            captions.append(wire.caption("0" * _ID, 0, 0, images[at], priors))
        self.captions = Bodies(writer, "Caption", captions, placed=True)


def _phrase(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(words))


def _image(chance: random.Random, key: str) -> dict[str, Any]:
    url = f"https://images.example.org/{chance.getrandbits(64):x}.jpg"
    return {
        "image_id": "0" * _ID,
        "object_key": key,
        "width": chance.randrange(448, 4000),
        "height": chance.randrange(448, 4000),
        "mime": "image/jpeg",
        "size": chance.randrange(50_000, 500_000),
        "phash": f"{chance.getrandbits(64):016x}",
        "url_id": f"{chance.getrandbits(256):064x}",
        "url": url,
        "alt_text": _phrase(chance, 12),
        "page_url": url.replace("images", "www").replace(".jpg", ".html"),
        "source": "benchmark",
        "embedded": {"exif:ImageDescription": _phrase(chance, 20)},
        "published_at": datetime.now(UTC),
        "fetched_at": datetime.now(UTC),
    }


def _prior(chance: random.Random, expert: str, key: str) -> dict[str, Any]:
    return {
        "image_id": "0" * _ID,
        "partition": 0,
        "offset": 0,
        "object_key": key,
        "expert": expert,
        "model": "benchmark",
        "model_version": "1",
        "status": "ok",
        "title": expert,
        "lines": [_phrase(chance, 6) for _ in range(10)],
        "findings": _findings(chance, expert),
        "seconds": 0.05,
        "made_at": datetime.now(UTC),
    }


def _findings(chance: random.Random, expert: str) -> dict[str, Any]:
    def scored(**more: Any) -> dict[str, Any]:
        return {"label": chance.choice(_WORDS), "score": chance.random(), **more}

    match expert:
        case "detection":
            corners = ("x0", "y0", "x1", "y1")
            boxes = [scored(**{name: chance.random() for name in corners}) for _ in range(20)]
            return {"boxes": boxes}
        case "tagging":
            return {"tags": [scored() for _ in range(20)], "kinds": [scored() for _ in range(5)]}
        case "ocr":
            lines = [
                {
                    "text": _phrase(chance, 5),
                    "score": chance.random(),
                    "polygon": [chance.random() for _ in range(8)],
                }
                for _ in range(12)
            ]
            return {"lines": lines}
        case _:
            statements = [{"text": _phrase(chance, 20), "source": "alt-text"} for _ in range(5)]
            return {"statements": statements}
