"""The policies of ``deploy/s3``: no right more than is needed, and none less."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.security.store_rights import NEEDS, POLICIES, STAGES, Needs

ROOT = Path(__file__).parents[3]
BUCKET = "arn:aws:s3:::densefusion"
ACTIONS = {"writes": "s3:PutObject", "reads": "s3:GetObject", "deletes": "s3:DeleteObject"}


def rights(name: str) -> set[tuple[str, str]]:
    """What a policy allows, as (action, resource)."""
    policy = json.loads((POLICIES / f"{name}-policy.json").read_text("utf-8"))
    assert all(each["Effect"] == "Allow" for each in policy["Statement"])
    return {
        (action, resource)
        for each in policy["Statement"]
        for action in each["Action"]
        for resource in each["Resource"]
    }


def expected(needs: Needs) -> set[tuple[str, str]]:
    found = {("s3:ListBucket", BUCKET)}
    for what, action in ACTIONS.items():
        found |= {(action, f"{BUCKET}/{folder}/*") for folder in getattr(needs, what)}
    return found


@pytest.mark.parametrize("name", NEEDS)
def test_a_policy_says_no_more_than_is_needed(name: str) -> None:
    assert rights(name) == expected(NEEDS[name])


def test_every_policy_is_known() -> None:
    assert {file.name for file in POLICIES.glob("*-policy.json")} == {
        f"{name}-policy.json" for name in NEEDS
    }


def test_one_user_for_all_workers_has_what_they_have_together_and_no_more() -> None:
    assert rights("worker") == set().union(*(rights(stage) for stage in STAGES))


def test_every_folder_that_the_code_writes_to_is_somebodys() -> None:
    """Every key of the project starts with a word of its own: ``f"images/..."``."""
    sources = [*(ROOT / "consumers").rglob("*.py"), *(ROOT / "densefusion").glob("*_store.py")]
    text = "\n".join(file.read_text("utf-8") for file in sources)
    found = set(re.findall(r'(?:key = |return )f"([a-z]+)/|PREFIX = "([a-z]+)', text))
    keys = {key or constant for key, constant in found}
    assert keys == {"images", "claims", "dataset", "incomplete", "engines", "models"}
    assert keys == set().union(*(needs.writes for needs in NEEDS.values()))
