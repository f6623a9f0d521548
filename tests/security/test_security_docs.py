"""docs/security.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from densefusion.settings import Settings, environment
from deploy.kafka import acls

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text("utf-8")


def test_its_table_of_acls() -> None:
    follows = dict.fromkeys(Settings(_env_file=None).experts.roster, "images")
    table = acls.table(acls.stages(follows) | acls.commands(follows))
    found = re.search(r"<!-- acls -->\n(.*)\n<!-- /acls -->", TEXT, re.DOTALL)
    assert found is not None and found[1].strip() == table, f"it should be:\n{table}"


def test_its_variables_are_settings() -> None:
    known = set(environment_names())
    for part in re.findall(
        r"`((?:DENSEFUSION_)?(?:KAFKA|STORE|CAPTION|FETCH|EXPERTS)__\w+)`", TEXT
    ):
        name = part.removeprefix("DENSEFUSION_")
        assert name in known, part


def environment_names() -> list[str]:
    """Every variable, without its prefix; also of settings that are None."""
    names = []

    def walk(model: type, prefix: str) -> None:
        for name, info in model.model_fields.items():  # type: ignore[attr-defined]
            inner = info.annotation
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                walk(inner, f"{prefix}{name}__")
            names.append(f"{prefix}{name}".upper())

    walk(Settings, "")
    assert len(names) > len(environment(Settings(_env_file=None))) > 50
    return names


def test_its_policies() -> None:
    for name in re.findall(r"`(\w+-policy\.json)`", TEXT):
        policy = json.loads((ROOT / "deploy/s3" / name).read_text("utf-8"))
        assert policy["Version"] == "2012-10-17"
    assert {f"{file.name}" for file in (ROOT / "deploy/s3").glob("*-policy.json")} <= set(
        re.findall(r"`(\w+-policy\.json)`", TEXT)
    )
