"""The campaign's own judgement, in short: `make release-campaign` is the campaign."""

from __future__ import annotations

from typing import Any, cast

from markdown_it import MarkdownIt

from tests.acceptance import report
from tests.acceptance.base import Base
from tests.acceptance.faults import Case
from tests.acceptance.site import Ended

STOPPED = Ended(
    "uniassist release rollout", 12, ["[3/4] gateway  FAILED", "  no such file", "MIXED: some are v2"], 1.0
)


class Seen:
    """Stands for the ports: what answers there."""

    def __init__(self, standing: str) -> None:
        self.site = self
        self._standing = standing

    def standing(self, _tag: str) -> str:
        return self._standing

    def revisions(self) -> dict[str, str]:
        return {"gateway": "v2"}


def case_of(seen: str, expected: str, code: int, *words: str) -> Case:
    case = Case("a fault", "what was done")
    case.noticed_by(STOPPED, code, *words)
    case.state_is(cast(Base, Seen(seen)), STOPPED, "v2", expected)
    return case


def test_a_case_is_right_only_with_code_cause_and_a_state_that_is_true() -> None:
    assert case_of("MIXED", "MIXED", 12, "no such file").wrong == []
    assert "ended with 12, not 0" in case_of("MIXED", "MIXED", 0).wrong[0]
    assert "doesn't say 'disk full'" in case_of("MIXED", "MIXED", 12, "disk full").wrong[0]
    assert "there is {'gateway': 'v2'}" in case_of("all-new", "MIXED", 12).wrong[0]
    assert "expected all-old" in case_of("MIXED", "all-old", 12).wrong[0]


def test_the_pages_say_what_is_not_as_specified_and_what_was_lost() -> None:
    case = case_of("MIXED", "MIXED", 0, "no such file")
    lost = {"inputs": 0, "events": 3, "gaps": 0}
    run: dict[str, Any] = {
        "code": 0,
        "seconds": 90.0,
        "acknowledged": 1000,
        "refused": 2,
        "longestGapSeconds": 1.5,
        "evidence": 0,
        "evidenceChecked": 0,
        "lost": lost,
    }
    page = report.faults_page({"a fault": case.__dict__ | {"ok": False}}, run)
    assert "**0 of 1 as specified.**" in page
    assert "ended with 12, not 0" in page
    assert MarkdownIt("commonmark").enable("table").render(page).count("<table>") == 1

    rolled = [
        {"number": n, "ok": True, "code": 20, "is_back": True}
        | {"first_failed_to_trigger": 1.0, "trigger_to_verified": seconds}
        for n, seconds in ((1, 20.0), (2, 61.0))
    ]
    page = report.rollbacks_page(
        {"rollbacks": rolled, "acknowledged": 10, "refused": 0, "longestGapSeconds": 1.0, "lost": lost}
    )
    assert "**1 of 2 back on v1" in page
    assert "0 inputs, 3 events, 0 gaps" in page
    drawn = report.plot([20.0, 61.0])
    assert (drawn.count('fill="#2a7"'), drawn.count('fill="#c33"/>')) == (1, 1)
