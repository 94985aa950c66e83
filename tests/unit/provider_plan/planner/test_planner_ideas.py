"""Whatever a model suggests, the plan is one that can be lived by, or the usual one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.provider_plan.planner.test_planner_plans import CHANGES, LANGUAGES, TODAY, goals

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.changing import Change, Refused, change
from uniassist.provider_plan.planner.ideas import Idea, Ideas, is_good, richer
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.planner.model import Goal

DUE = dt.date(2026, 5, 25)
SWIM = Goal("learn to swim", "skill", TODAY, DUE, DUE)
GOOD = st.builds(
    Idea,
    st.text("abc 学游泳é", min_size=3, max_size=60).map(lambda text: f"step {text}"),
    st.integers(10, 480),
    st.integers(0, 7),
)
ANY = st.builds(Idea, st.text(max_size=100), st.integers(-10, 10_000), st.integers(-3, 20))


@pytest.mark.parametrize(
    "idea",
    [
        Idea("", 30),
        Idea("   ", 30),
        Idea("x", 30),
        Idea("12345", 30),
        Idea("x" * 81, 30),
        Idea("see https://evil.example", 30),
        Idea("go to WWW.evil.example", 30),
        Idea("<b>bold</b>", 30),
        Idea("[tap](here)", 30),
        Idea("two\nlines", 30),
        Idea("a\u202ebackwards", 30),
        Idea("a bell\x07", 30),
        Idea("mail me@evil.example", 30),
        Idea("no time", 0),
        Idea("a whole week", 10_000),
        Idea("too often", 30, 8),
        Idea("less than never", 30, -1),
    ],
)
def test_what_nobody_should_be_shown_is_not_good(idea: Idea) -> None:
    assert not is_good(idea)


def test_good_ideas_take_the_place_of_the_usual_steps_of_their_phase_alone() -> None:
    count = len(kinds()["skill"].phases["en"])
    ideas: Ideas = [[Idea("Buy goggles that fit", 40), Idea("Find a pool nearby", 30)], *[[]] * (count - 1)]
    plan = richer(SWIM, "en", ideas)
    assert plan is not None
    assert [each.item.title for each in plan.steps if each.item.phase == 0] == [
        "Buy goggles that fit",
        "Find a pool nearby",
    ]
    usual = [each.title for each in kinds()["skill"].items["en"] if each.phase == 1]
    assert [each.item.title for each in plan.steps if each.item.phase == 1] == usual


def test_one_bad_idea_spoils_its_phase_and_no_ideas_are_no_other_plan() -> None:
    count = len(kinds()["skill"].phases["en"])
    assert richer(SWIM, "en", [[]] * count) is None
    assert richer(SWIM, "en", [[Idea("Buy goggles", 40)]] * (count + 1)) is None
    assert richer(SWIM, "en", [[Idea("Buy goggles", 40), Idea("<script>", 40)], *[[]] * (count - 1)]) is None
    assert richer(SWIM, "en", [[Idea("Buy goggles", 40)] * 2, *[[]] * (count - 1)]) is None, "twice the same"


@settings(max_examples=100, deadline=None)
@given(goals(), st.sampled_from(LANGUAGES), st.data(), st.lists(CHANGES, max_size=3))
def test_a_plan_of_any_ideas_can_be_lived_by_and_changed(
    goal: Goal, language: Language, data: st.DataObject, changes: list[Change]
) -> None:
    count = len(kinds()[goal.kind].phases[language])
    phase = st.lists(data.draw(st.sampled_from([GOOD, ANY])), max_size=8)
    plan = richer(goal, language, data.draw(st.lists(phase, min_size=count, max_size=count)))
    if plan is None:
        return
    for wanted in changes:
        try:
            plan = change(plan, wanted, TODAY)
        except Refused:
            continue
    assert list(plan.problems()) == []
    back = restored(kept(plan))
    assert back is not None
    assert [each.item.title for each in back.steps] == [each.item.title for each in plan.steps]
