"""A picture as a vector of length 1: for near-duplicates, and for `engines.full.tagger`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.full.card import Card
from engines.full.pictures import prepare
from engines.session import Session


class Embedder:
    """Args:
    session: of an export's `siglip2-image` or `dinov2`.
    card: the one beside it.
    """

    def __init__(self, session: Session, card: Card) -> None:
        self._session = session
        self._picture = card.pictured()

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes."""
        return prepare(pixels, self._picture)

    def run(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """n x D, float32; the product of two is their cosine.

        Raises:
            EngineError: inference failed.
        """
        return self._session.run({"image": np.stack(batch)})[0]
