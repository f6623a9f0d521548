"""docs/deploy.md: its commands are known, and the files that they name are there."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import yaml

from tests.deploy.commands import parse

ROOT = Path(__file__).parents[2]


def commands() -> list[list[str]]:
    """Each line after a ``$``, with the lines that continue it, in words."""
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8").replace("\\\n", " ")
    return [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ ")]


def test_ours_are_known() -> None:
    found = 0
    for words in commands():
        if words[0] == "densefusion":
            rest = words[1:]
        elif "cli" in words and words[0] == "docker":
            rest = words[words.index("cli") + 1 :]
        else:
            continue
        if "<" in rest:
            rest = rest[: rest.index("<")]
        parse(rest)
        found += 1
    assert found >= 5


def test_the_files_are_there() -> None:
    named = {
        word.removeprefix("file://")
        for words in commands()
        for word in words
        if re.match(r"(file://)?deploy/", word)
    }
    made = {"deploy/compose/secrets/caption_api_key"}  # by a command before
    assert len(named) > 8
    assert [name for name in named - made if not (ROOT / name).exists()] == []


def test_services_and_profiles_are_compose_s() -> None:
    stack = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text("utf-8"))
    profiles = {p for service in stack["services"].values() for p in service.get("profiles", [])}
    for words in commands():
        if words[:2] != ["docker", "compose"]:
            continue
        for option, value in pairwise(words):
            if option == "--profile":
                assert value in profiles
            elif option == "--scale":
                assert value.split("=")[0] in stack["services"]


def test_links_lead_somewhere() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
