"""The alert rules: they parse, have a reason, and a playbook entry each."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[4]
RULES = ROOT / "ops/observability/alerts.yml"
PLAYBOOK = ROOT / "docs/playbook.md"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_rule_parses_and_has_its_playbook_entry(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"[0-9]+[mh]", rule.get("for", "1m"))
    file, anchor = rule["annotations"]["runbook_url"].split("#")
    assert (ROOT / file, anchor) == (PLAYBOOK, rule["alert"].lower())
    entry = re.search(rf"^## {rule['alert']}\n(.+?)(?=^## |\Z)", PLAYBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert entry is not None, f"docs/playbook.md has no entry {rule['alert']}"
    assert entry[1].strip().startswith(f"*{rule['labels']['severity']}.*")
    assert "- Look" in entry[1]
    assert "o: " in entry[1]


def test_every_playbook_entry_has_its_alert_and_every_rule_a_reason() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    assert sorted(re.findall(r"^## (\w+)$", PLAYBOOK.read_text(), re.MULTILINE)) == sorted(names)
    lines = RULES.read_text().splitlines()
    for at, line in enumerate(lines):
        if "- alert:" in line:
            assert lines[at - 1].lstrip().startswith("# "), f"{line.strip()} says no reason above it"


def test_promtool_accepts_them() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH; the parser above has read them")
    checked = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
