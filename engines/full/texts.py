"""Texts to embeddings, remembered: the same tags come again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import EngineError
from engines.session import Session

TOKENIZER = "tokenizer.json"  # beside the model, with its length and its padding inside


class Texts:
    """A text tower behind its tokenizer. May be called from many threads.

    Args:
        session: of an export's text tower: `input_ids` n x length to `embedding` n x D.
        model: the ONNX file; the tokenizer lies beside it.
        remembered: embeddings kept, those longest unused go first. 10,000 of 512 are 20 MB.
        batch: texts in one run, at the most.

    Raises:
        EngineError: no tokenizer.
    """

    def __init__(
        self, session: Session, model: Path, *, remembered: int = 10_000, batch: int = 64
    ) -> None:
        self._session = session
        self._tokenizer = _tokenizer(model.parent / TOKENIZER)
        self._remembered = remembered
        self._batch = batch
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """n x D, float32, each of length 1.

        Raises:
            EngineError: inference failed.
        """
        with self._lock:
            known = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for start in range(0, len(new), self._batch):
            some = new[start : start + self._batch]
            vectors = self._session.run({"input_ids": self.tokens(some)})[0]
            known |= zip(some, vectors, strict=True)
        with self._lock:
            for text in texts:
                self._known[text] = known[text]
                self._known.move_to_end(text)
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return np.stack([known[text] for text in texts])

    def tokens(self, texts: Sequence[str]) -> np.ndarray:
        """Token ids, n x length, int64, cut off and padded as in training."""
        return np.array([one.ids for one in self._tokenizer.encode_batch(list(texts))], np.int64)


def _tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EngineError(
            "models of the profile full need tokenizers: pip install 'densefusion[full]'"
        ) from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the binding raises plain Exception
        raise EngineError(f"{path} is no tokenizer, export the model again: {error}") from error
