"""The chapter for authors says everything that the kit checks, in the words that its findings quote."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.release.checks.conformance.provider.rules import RULES, Rule

CHAPTER = Path(__file__).parents[3] / "docs" / "providers.md"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_chapter_says_it(rule: Rule) -> None:
    required, _, optional = CHAPTER.read_text(encoding="utf-8").partition("### Parts that it may have")
    assert f"| {rule.name} | {rule.text} |" in (optional if rule.optional else required)


def test_a_rule_needs_only_rules_before_it() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for at, rule in enumerate(RULES):
        assert set(rule.needs) <= set(names[:at]), rule.name
