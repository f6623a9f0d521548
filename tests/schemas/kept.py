"""The schemas of today, and the copies that are kept of those of the past.

``python -m tests.schemas.kept`` keeps a copy of whatever differs from its newest copy, in
``schemas/history/<next number>/``. Copies are never changed: records written with them lie in
topics and buckets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schemas.files import HERE, RECORDS, Schema, findings_schema, load, prior_schema, read

EXPERTS = ("detection", "tagging", "ocr", "knowledge", "grounding")
HISTORY = HERE / "history"
COMMAND = "python -m tests.schemas.kept"


def today() -> dict[str, Schema]:
    """Every schema, complete in itself, by the name of its file."""
    records = {name: load(name) for name in RECORDS}
    priors = {f"Prior.{name}": prior_schema(findings_schema(name)) for name in EXPERTS}
    return records | priors


def versions(name: str) -> list[Path]:
    """The copies of a schema, oldest first."""
    return sorted(HISTORY.glob(f"*/{name}.avsc"), key=lambda path: int(path.parent.name))


def without_docs(node: Any) -> Any:
    """The schema without what no reader or writer depends on."""
    if isinstance(node, list):
        return [without_docs(each) for each in node]
    if isinstance(node, dict):
        return {key: without_docs(value) for key, value in node.items() if key != "doc"}
    return node


def unkept() -> list[str]:
    """Names of the schemas that differ from their newest copy, or have none."""
    return [
        name
        for name, schema in today().items()
        if not (kept := versions(name)) or without_docs(read(kept[-1])) != without_docs(schema)
    ]


def keep() -> list[Path]:
    """Write the copies that are due."""
    number = max((int(folder.name) for folder in HISTORY.glob("*")), default=0) + 1
    files = [HISTORY / str(number) / f"{name}.avsc" for name in unkept()]
    schemas = today()
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(schemas[file.stem], indent=2, ensure_ascii=False)
        file.write_text(text + "\n", "utf-8")
    return files


if __name__ == "__main__":
    for kept in keep():
        print(kept)
