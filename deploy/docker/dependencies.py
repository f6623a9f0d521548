"""What the project depends on, a requirement a line, without the project: for a layer of its own.

python dependencies.py [--without NAME]... EXTRA...
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(pyproject: str, extras: list[str], without: list[str]) -> list[str]:
    """The project's own requirements and those of `extras`, less the packages named in `without`.

    Raises:
        KeyError: there is no such extra.
    """
    project = tomllib.loads(pyproject)["project"]
    found = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    return [each for each in found if _name(each) not in {"densefusion", *without}]


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return match.group().lower()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--without", action="append", default=[])
    given = parser.parse_args()
    text = Path("pyproject.toml").read_text("utf-8")
    print("\n".join(requirements(text, given.extras, given.without)))
