"""What all contenders of the join share: the codec, and the caption that none of them thinks about.

Imports nothing but `schemas`, since the peers' environments have no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from schemas import Codec, findings_schema, prior_schema

EXPERTS = ("detection", "tagging", "ocr", "knowledge")
IMAGES = "images"
CAPTIONS = "captions"


def codec() -> Codec:
    """Knows the priors of the four experts."""
    known = Codec()
    for name in EXPERTS:
        known.add(schema(name), prior_schema(findings_schema(name)))
    return known


def schema(stream: str) -> str:
    """Schema of the records of a stream: the images, or an expert's priors."""
    return "Image" if stream == IMAGES else f"Prior:{stream}"


def topics(prefix: str) -> dict[str, str]:
    """Full name of each stream's topic."""
    return {IMAGES: prefix + IMAGES} | {name: f"{prefix}priors.{name}" for name in EXPERTS}


def caption(
    image_id: str, partition: int, offset: int, image: Any, priors: Mapping[str, bytes]
) -> dict[str, Any]:
    """The `Caption` of an image.

    Args:
        image: the record, or whatever the codec takes in its place.
        priors: each expert's record, as it came.
    """
    carried: Sequence[dict[str, Any]] = [
        {"expert": name, "record": raw} for name, raw in priors.items()
    ]
    return {
        "image_id": image_id,
        "partition": partition,
        "offset": offset,
        "text": "none",
        "engine": "benchmark",
        "saw_image": False,
        "prompt_version": "0",
        "finish": "stop",
        "seconds": 0.0,
        "captioned_at": datetime.now(UTC),
        "image": image,
        "priors": carried,
        "missing": [],
    }
