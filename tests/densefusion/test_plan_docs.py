"""docs/sizing.md shows what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from densefusion.cli.app import app
from densefusion.cli.plan import plan as _command  # noqa: F401 - registers it

DOC = Path(__file__).parents[2] / "docs" / "sizing.md"
_BLOCK = r"```console\n\$ densefusion ([^\n]+)\n(.*?)\n```"
EXAMPLES = re.findall(_BLOCK, DOC.read_text("utf-8"), re.DOTALL)
# Those whose output is the page's: whole, and of no other server's making.
PLANS = [each for each in EXAMPLES if each[0].startswith("plan") and "| tail" not in each[0]]


@pytest.mark.parametrize(("command", "shown"), PLANS, ids=[each[0] for each in PLANS])
def test_the_page_shows_what_is_printed(command: str, shown: str) -> None:
    """All but the simulations, which take seconds."""
    plain = re.sub(r"--simulate|--days \d+", "", command)
    printed = CliRunner().invoke(app, shlex.split(plain)).output
    assert printed.rstrip() == shown.partition("\n\nsimulated in steps")[0]


def test_there_are_examples() -> None:
    assert len(PLANS) >= 4
