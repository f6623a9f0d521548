"""A zero-shot tagger, SigLIP 2: each word of a vocabulary, does it say what the picture shows?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.full.card import Card
from engines.full.embedding import Embedder
from engines.full.texts import Texts
from engines.full.vocabulary import Vocabulary
from engines.session import Session
from engines.tagging import Tag, Tags

# In small letters, as it was trained: arXiv 2502.14786, and the model's documentation.
PROMPT = "this is a photo of {}."


class ZeroShotTagger:
    """The vocabulary is embedded once, here; a picture then costs one product with it.

    A score is the sigmoid of SigLIP's logit, for each word by itself: they do not add up to 1, and
    a picture may have many tags or none.

    Args:
        session: of an export's `siglip2-image`.
        card: the one beside it.
        texts: of the same model's text tower.
        vocabulary: of, say, a thousand words; ten thousand take a text tower minutes on a CPU.
        score: what is below is dropped.
        max_tags: tags, and kinds, of one picture at the most.

    Raises:
        EngineError: the text tower failed.
    """

    def __init__(
        self,
        session: Session,
        card: Card,
        texts: Texts,
        vocabulary: Vocabulary,
        *,
        score: float = 0.1,
        max_tags: int = 30,
    ) -> None:
        self._embedder = Embedder(session, card.pictured())
        self._scale, self._bias = card.scale, card.bias
        self._tags, self._kinds = vocabulary.tags, vocabulary.kinds
        words = [PROMPT.format(word.lower()) for word in (*vocabulary.tags, *vocabulary.kinds)]
        self._words = texts.embed(words).T
        self._score = score
        self._max_tags = max_tags

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H x W x 3 RGB uint8 to what `run` takes."""
        return self._embedder.prepare(pixels)

    def run(self, batch: Sequence[np.ndarray]) -> list[Tags]:
        """Tags and kinds of each prepared picture.

        Raises:
            EngineError: inference failed.
        """
        if not batch:
            return []
        count = len(self._tags)
        return [
            Tags(
                self._best(self._tags, row[:count]),
                self._best(self._kinds, row[count:]),
            )
            for row in self.scores(batch)
        ]

    def scores(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """n x words, the tags' before the kinds'."""
        logits = self._embedder.run(batch) @ self._words * self._scale + self._bias
        return np.asarray(1 / (1 + np.exp(-logits)))

    def _best(self, names: Sequence[str], scores: np.ndarray) -> list[Tag]:
        order = np.argsort(-scores, kind="stable")[: self._max_tags]
        return [Tag(names[i], float(scores[i])) for i in order if scores[i] >= self._score]
