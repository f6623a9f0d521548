"""A picture as a vector of length 1: for near-duplicates, and for `engines.full.tagger`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.full.card import Picture
from engines.full.pictures import prepare
from engines.session import Session

OUTPUT = "embedding"


class Embedder:
    """Args:
    session: of a model with an output `embedding`: an export's `siglip2-image` or `dinov2`, or the
        starter's tagger.
    picture: how a picture becomes its input.
    """

    def __init__(self, session: Session, picture: Picture) -> None:
        self._session = session
        self._picture = picture
        self._output = session.outputs.index(OUTPUT)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes."""
        return prepare(pixels, self._picture)

    def run(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """n x D, float32; the product of two is their cosine.

        Raises:
            EngineError: inference failed.
        """
        vectors = self._session.run({"image": np.stack(batch)})[self._output]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / lengths.clip(1e-12), np.float32)
