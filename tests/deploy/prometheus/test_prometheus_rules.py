"""The rules: promtool's own tests, a runbook for each alert, and names that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus.expressions import grouping, matching, selectors
from tests.deploy.prometheus.names import labels_of
from tests.deploy.prometheus.programs import programs

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOK = ROOT / "docs" / "alerts.md"


def _rules() -> list[dict[str, Any]]:
    files = sorted((PROMETHEUS / "rules").glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


RULES = _rules()
ALERTS = [rule for rule in RULES if "alert" in rule]


def _promtool(*arguments: str) -> str:
    done = subprocess.run(
        [programs() / "promtool", *arguments],
        cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_is_valid() -> None:
    assert "13 rules found" in _promtool("check", "config", "prometheus.yml")


def test_promtool_passes_the_rules_own_tests() -> None:
    files = sorted(str(file.relative_to(PROMETHEUS)) for file in PROMETHEUS.glob("tests/*.yaml"))
    assert _promtool("test", "rules", *files).count("SUCCESS") == len(files) >= 4


def test_each_alert_is_seen_firing_and_silent() -> None:
    fired, silent = set(), set()
    for file in PROMETHEUS.glob("tests/*.yaml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                (fired if case.get("exp_alerts") else silent).add(case["alertname"])
    names = {rule["alert"] for rule in ALERTS}
    assert fired == names
    assert silent <= names


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert ROOT / file == RUNBOOK
    sections = re.findall(r"^## (\w+)\n\n(.+?)(?=^## |\Z)", RUNBOOK.read_text(), re.M | re.S)
    texts = {title.lower(): text for title, text in sections}
    assert anchor == rule["alert"].lower()
    assert len(texts[anchor].split()) > 40, "a paragraph, not a line"
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_the_runbook_has_no_section_without_an_alert() -> None:
    titles = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M)
    assert titles == [rule["alert"] for rule in sorted(ALERTS, key=_place)]


def _place(rule: dict[str, Any]) -> int:
    return [each["alert"] for each in ALERTS].index(rule["alert"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_names_exist(rule: dict[str, Any]) -> None:
    recorded = {each["record"]: _level(each["record"]) for each in RULES if "record" in each}
    known: set[str] = set()
    for each in selectors(rule["expr"]):
        labels = labels_of(each.metric, recorded)
        assert set(each.matchers) <= labels
        known |= labels
    for by, metrics in grouping(rule["expr"]):
        assert by <= set().union(*(labels_of(metric, recorded) for metric in metrics)), metrics
    assert matching(rule["expr"]) <= known
    if "record" in rule:  # level:metric:operation, the level being the labels that are left
        assert _level(rule["record"]) <= known
    else:
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= known


def _level(name: str) -> set[str]:
    return set(name.split(":", maxsplit=1)[0].split("_"))
