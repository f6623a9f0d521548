"""A model's tokenizer as one file, with its length and its padding inside."""

from __future__ import annotations

from pathlib import Path

from engines.errors import EngineError
from engines.export.weights import imported

_SAMPLES = ["a photo of a cat", "This is a photo of Tabby-Cats.", "naïve 漢字 " * 40, "!"]


def bake(folder: Path, length: int, target: Path) -> None:
    """Write to `target` what `tokenizers` alone reads.

    Whether letters are made small, whether an end token is added: that is in the code of
    `transformers`, by model. Here it is asked once, and what it answers is in the file.

    Args:
        length: tokens of every text: longer ones are cut off, shorter ones padded.

    Raises:
        EngineError: no tokenizer in `folder`, or the file would not do what it does.
    """
    transformers = imported("transformers")
    try:
        original = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        wanted = original(_SAMPLES, padding="max_length", max_length=length, truncation=True)
        backend = original.backend_tokenizer
        backend.enable_truncation(length)
        backend.enable_padding(
            length=length,
            pad_id=original.pad_token_id,
            pad_token=original.pad_token,
            direction=original.padding_side,
        )
        backend.save(str(target))
        tokenizer = imported("tokenizers").Tokenizer.from_file(str(target))
    except Exception as error:  # of a dozen kinds, with no common root
        raise EngineError(f"no tokenizer to be had from {folder}: {error}") from error
    found = [one.ids for one in tokenizer.encode_batch(_SAMPLES)]
    if found != wanted["input_ids"]:
        raise EngineError(f"the tokenizer of {folder} does not survive being written to one file")
