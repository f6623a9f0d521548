"""A row of the dataset: what a caption, or a reject, is once it leaves the stream.

The same rows go into Parquet (`consumers.dataset.arrow`) and into JSON lines, under the same names.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

Row = dict[str, Any]

# Column: where it stands in the Caption record. The order is the dataset's. `partition` and
# `offset` are the image's on the topic `images`: they place the row in the stream.
CAPTION_COLUMNS = {
    "image_id": "image_id",
    "url": "image.url",
    "caption": "text",
    "width": "image.width",
    "height": "image.height",
    "alt_text": "image.alt_text",
    "priors": "priors",
    "engine": "engine",
    "saw_image": "saw_image",
    "prompt_version": "prompt_version",
    "version": "version",
    "finish": "finish",
    "missing_experts": "missing",
    "tokens_in": "tokens_in",
    "tokens_out": "tokens_out",
    "price": "price",
    "seconds": "seconds",
    "published_at": "image.published_at",
    "fetched_at": "image.fetched_at",
    "captioned_at": "captioned_at",
    "object_key": "image.object_key",
    "mime": "image.mime",
    "phash": "image.phash",
    "source": "image.source",
    "page_url": "image.page_url",
    "partition": "partition",
    "offset": "offset",
}
REJECT_COLUMNS = (
    "url_id",
    "url",
    "image_id",
    "stage",
    "reason",
    "detail",
    "duplicate_of",
    "rejected_at",
    "attempt",
)
# What every expert's struct begins with, straight from its Prior record.
PRIOR_COLUMNS = ("model", "model_version", "status", "reason")

# Some readers split lines at these too, not only at \n.
_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})


def caption_row(caption: Mapping[str, Any], priors: Mapping[str, Mapping[str, Any]]) -> Row:
    """One row of the captions.

    Args:
        caption: the decoded `Caption` record.
        priors: for each expert that answered, its decoded `Prior` record. One that failed keeps its
            reason and has no findings; one that did not answer is null as a whole.
    """
    missing = [each["expert"] for each in caption["missing"]]
    row = {column: _at(caption, path) for column, path in CAPTION_COLUMNS.items()}
    row["priors"] = dict.fromkeys(missing) | {name: _prior(each) for name, each in priors.items()}
    row["missing_experts"] = missing
    return row


def reject_row(reject: Mapping[str, Any], partition: int, offset: int) -> Row:
    """One row of the rejects. `partition` and `offset` are the record's on ``rejects``."""
    row = {column: reject[column] for column in REJECT_COLUMNS}
    return row | {"partition": partition, "offset": offset}


def findings_column(field: str) -> str:
    """The name, in an expert's struct, of a field of its findings.

    Only a field that is named like one of `PRIOR_COLUMNS` has to give way.
    """
    return f"findings_{field}" if field in PRIOR_COLUMNS else field


def json_line(row: Mapping[str, Any]) -> str:
    """The row as one line of JSON, without the newline."""
    return json_text(row).translate(_LINE_ENDS)


def json_text(value: object) -> str:
    """A decoded Avro value as JSON.

    Times are ISO 8601, bytes base64, and numbers that JSON does not know (NaN, infinity) null.
    """
    try:
        return _dumps(value)
    except ValueError:  # rare, so only then is the whole value walked
        return _dumps(_finite(value))


def json_value(value: object) -> str:
    """What stands in JSON for a value that JSON has no type for: `json.dumps`'s ``default``."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _prior(prior: Mapping[str, Any]) -> Row:
    struct = {column: prior[column] for column in PRIOR_COLUMNS}
    findings = prior["findings"] if prior["status"] == "ok" else None
    return struct | {findings_column(name): value for name, value in (findings or {}).items()}


def _at(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = record[name]
    return record


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=json_value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
