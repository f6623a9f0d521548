"""Where the Avro schemas lie, and how those that name each other are put together."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDS = ("ImageUrl", "Image", "Caption", "Reject")
_FILES = {
    "ImageUrl": "image_url.avsc",
    "Image": "image.avsc",
    "Caption": "caption.avsc",
    "Reject": "reject.avsc",
}

Schema = dict[str, Any]


def read(path: Path) -> Schema:
    """An .avsc file as it stands."""
    schema: Schema = json.loads(path.read_text("utf-8"))
    return schema


@cache
def load(name: str) -> Schema:
    """The schema of one of `RECORDS`, complete in itself.

    Raises:
        KeyError: no such record.
    """
    schema = read(HERE / _FILES[name])
    if name == "Caption":
        schema = substitute(schema, "densefusion.Image", load("Image"))
    return schema


def findings_schema(expert: str) -> Schema:
    """The findings schema of one of the experts that come with the project."""
    return read(HERE / "findings" / f"{expert}.avsc")


def prior_schema(findings: Schema) -> Schema:
    """The `Prior` of an expert: the common fields, with its findings in place."""
    prior: Schema = substitute(read(HERE / "prior.avsc"), "densefusion.Findings", findings)
    return prior


def history() -> list[Schema]:
    """Every older version of every schema, complete in itself; records written with them lie in
    topics and must stay readable."""
    return [read(path) for path in sorted((HERE / "history").glob("*/*.avsc"))]


def substitute(schema: Any, name: str, definition: Schema) -> Any:
    """A copy of `schema` in which the first type called `name` is `definition`.

    Avro wants a named type defined where it is first met and named from then on.
    """
    done = False

    def walk(node: Any) -> Any:
        nonlocal done
        if node == name and not done:
            done = True
            return definition
        if isinstance(node, list):
            return [walk(each) for each in node]
        if isinstance(node, dict):
            return {
                key: walk(value) if key in ("type", "items", "values", "fields") else value
                for key, value in node.items()
            }
        return node

    return walk(schema)
