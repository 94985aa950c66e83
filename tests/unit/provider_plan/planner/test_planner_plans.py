"""Whatever the goal, whatever is changed: dates in range and order, no more time than there is, nothing empty."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniassist.contracts.language import Language
from uniassist.provider_plan.planner.changing import (
    Add,
    Away,
    Change,
    Done,
    Drop,
    Due,
    Hours,
    Instead,
    Looser,
    Refused,
    Shift,
    Show,
    Sooner,
    Undone,
    change,
    replaced_subject,
)
from uniassist.provider_plan.planner.keeping import kept, restored
from uniassist.provider_plan.planner.kinds import kind_of, kinds
from uniassist.provider_plan.planner.making import make
from uniassist.provider_plan.planner.model import EVERY_DAY, Goal, Plan
from uniassist.provider_plan.planner.reading import goal_of
from uniassist.provider_plan.planner.showing import in_words, next_in_words
from uniassist.times import zone_of

TODAY = dt.date(2026, 2, 25)  # a Wednesday
NOW = dt.datetime(2026, 2, 25, 10, 16, tzinfo=zone_of(None))
DAYS = st.integers(0, 400).map(lambda days: TODAY + dt.timedelta(days=days))
LANGUAGES: tuple[Language, Language] = ("zh", "en")


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    due = draw(DAYS)
    away_first = draw(DAYS)
    away = ((away_first, away_first + dt.timedelta(days=draw(st.integers(0, 20)))),)
    return Goal(
        text=draw(st.sampled_from(["去云南", "learn to swim", "写完"])),
        kind=draw(st.sampled_from(sorted(kinds()))),
        start=TODAY,
        due=due,
        ends=due + dt.timedelta(days=draw(st.integers(0, 40))),
        weekly_minutes=draw(st.none() | st.integers(60, 5000)),
        weekdays=draw(st.just(EVERY_DAY) | st.frozensets(st.integers(0, 6), min_size=1)),
        away=draw(st.sampled_from([(), away])),
    )


NUMBERS = st.integers(-1, 25)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.just(Show()),
    st.builds(Done, st.lists(NUMBERS, max_size=3).map(tuple)),
    st.builds(Undone, st.lists(NUMBERS, max_size=2).map(tuple)),
    st.builds(Shift, st.integers(-60, 90), st.none() | NUMBERS),
    st.builds(Due, DAYS, st.none(), st.none() | NUMBERS),
    st.just(Looser()),
    st.just(Sooner()),
    st.builds(Instead, st.sampled_from(["大阪", "a wedding", "考研"])),
    st.builds(Hours, st.none() | st.integers(60, 3000), st.none() | st.just(frozenset({5, 6}))),
    st.builds(lambda day, more: Away(day, day + dt.timedelta(days=more)), DAYS, st.integers(0, 30)),
    st.builds(Drop, st.lists(NUMBERS, min_size=1, max_size=3).map(tuple)),
    st.builds(Add, st.sampled_from(["买保险", "buy insurance"])),
)


@settings(max_examples=150, deadline=None)
@given(goals(), st.sampled_from(LANGUAGES))
def test_a_plan_for_any_goal_can_be_lived_by(goal: Goal, language: Language) -> None:
    plan = make(goal, language)
    assert list(plan.problems()) == []
    assert goal.text in in_words(plan, TODAY)


def test_no_day_of_ones_own_before_it_is_due_still_keeps_the_weeks_time() -> None:
    """On a Wednesday, due on Friday, time on Mondays only."""
    due = TODAY + dt.timedelta(days=2)
    plan = make(Goal("写完", "general", TODAY, due, due, weekly_minutes=60, weekdays=frozenset({0})), "zh")
    assert list(plan.problems()) == []
    assert plan.is_tight


@settings(max_examples=150, deadline=None)
@given(goals(), st.lists(st.tuples(CHANGES, st.integers(0, 10)), min_size=1, max_size=6))
def test_whatever_is_changed_it_can_still_be_lived_by(goal: Goal, changes: list[tuple[Change, int]]) -> None:
    plan, today = make(goal, "zh"), TODAY
    for wanted, days in changes:
        today += dt.timedelta(days=days)
        done = {each.item.title for each in plan.steps if each.done_on is not None}
        try:
            plan = change(plan, wanted, today)
        except Refused:
            continue
        assert list(plan.problems()) == [], wanted
        if not isinstance(wanted, Instead | Undone | Drop):
            assert done <= {each.item.title for each in plan.steps if each.done_on is not None}, wanted
        in_words(plan, today)
        next_in_words(plan, today)


def trip() -> Plan:
    due = dt.date(2026, 4, 1)
    return make(Goal("去东京玩五天", "trip", TODAY, due, due + dt.timedelta(days=4)), "zh")


def swim() -> Plan:
    return make(Goal("learn to swim", "skill", TODAY, dt.date(2026, 5, 25), dt.date(2026, 5, 25)), "en")


def test_moved_by_two_days_everything_open_is_two_days_later() -> None:
    before, after = trip(), change(trip(), Shift(2), TODAY)
    two = dt.timedelta(days=2)
    assert [each.first + two for each in before.steps] == [each.first for each in after.steps]
    assert after.goal.due == before.goal.due + two
    done = change(before, Done((1,)), TODAY)
    later = change(done, Shift(2), TODAY)
    assert [each.last + two for each in done.open] == [each.last for each in later.open]


def test_what_is_done_stays_done_and_where_it_was() -> None:
    plan = change(trip(), Done((1,)), TODAY)
    later = change(plan, Shift(3), TODAY + dt.timedelta(days=1))
    assert later.steps[0] == plan.steps[0]
    assert later.steps[0].done_on == TODAY
    assert [each.item for each in later.open] == [each.item for each in plan.open]


def test_a_step_moved_takes_what_follows_with_it_and_the_day_stays() -> None:
    before, after = trip(), change(trip(), Shift(2, 3), TODAY)
    assert after.steps[:2] == before.steps[:2]
    assert after.steps[2].first == before.steps[2].first + dt.timedelta(days=2)
    assert after.goal.due == before.goal.due


def test_too_tight_gives_days_to_what_may_wait_and_takes_steps_from_what_may_not() -> None:
    assert change(swim(), Looser(), TODAY).goal.due > swim().goal.due
    looser = change(trip(), Looser(), TODAY)
    assert looser.goal.due == trip().goal.due
    assert len(looser.steps) < len(trip().steps)
    assert looser.left_out


def test_another_place_keeps_the_days() -> None:
    plan = change(trip(), Instead("大阪"), TODAY)
    assert plan.goal.text == "去大阪玩五天"
    assert plan.steps == trip().steps


@pytest.mark.parametrize(
    ("goal", "said", "becomes"),
    [
        ("去东京玩五天", "大阪", "去大阪玩五天"),
        ("东京五日游", "大阪", "大阪五日游"),
        ("a trip to Rome in May", "Osaka", "a trip to Osaka in May"),
        ("learn to swim", "dance", "learn to dance"),
        ("写完报告", "写完论文", "写完论文"),
    ],
)
def test_a_place_or_subject_takes_the_others_place(goal: str, said: str, becomes: str) -> None:
    assert replaced_subject(goal, said) == becomes


def test_a_day_of_the_event_that_is_done_keeps_its_number_when_the_plan_is_kept() -> None:
    plan = trip()
    first = next(plan.number(each) for each in plan.steps if each.item.on_day == 0)
    changed = change(change(plan, Done((first,)), TODAY), Looser(), TODAY)
    back = restored(kept(changed))
    assert back is not None
    assert [each.item.title for each in back.steps] == [each.item.title for each in changed.steps]
    assert [each.item.on_day for each in changed.steps if each.done_on] == [0]


def test_done_by_what_it_is_about() -> None:
    plan = change(trip(), Done(title="住宿"), TODAY)
    assert [each.item.title for each in plan.steps if each.done_on] == ["订每一晚的住宿，尽量选可免费取消的"]
    goal = goal_of({"goal": "a trip to Rome", "dueDate": "2026-03-20"}, "", NOW)
    packed = change(make(goal, "en"), Done(title="packing"), TODAY)
    (title,) = (each.item.title for each in packed.steps if each.done_on)
    assert title.startswith("Pack: ")
    with pytest.raises(Refused):
        change(packed, Done(title="packing the car"), TODAY)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Done((99,)), "no_such_step"),
        (Done(title="没有这件事"), "which_step"),
        (Due(dt.date(2026, 2, 1)), "past"),
        (Shift(-200), "past"),
        (Sooner(), "event_stays"),
        (Drop(tuple(range(1, 12))), "last_step"),
    ],
)
def test_what_cannot_be_had_is_refused(wanted: Change, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        change(trip(), wanted, TODAY)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("去日本玩五天", "trip"),
        ("a weekend in Rome", "trip"),
        ("five days in Lisbon", "trip"),
        ("swim three days in a week", "general"),
        ("考研", "exam"),
        ("搬家", "moving"),
        ("my sister's wedding", "wedding"),
        ("產品上線", "launch"),
        ("学会游泳", "skill"),
        ("写毕业论文", "thesis"),
        ("run a marathon", "race"),
        ("办日本签证", "visa"),
        ("妈妈的生日聚会", "party"),
        ("把车库收拾出来", "general"),
    ],
)
def test_a_goal_is_of_a_kind(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("values", "said", "due", "ends"),
    [
        ({"goal": "去日本玩五天"}, "4月1日出发", "2026-04-01", "2026-04-05"),
        ({"goal": "周末去杭州旅行"}, "", "2026-02-28", "2026-03-01"),
        ({"goal": "a trip to Rome"}, "from October 1 to October 7", "2026-10-01", "2026-10-07"),
        ({"goal": "学会游泳", "constraints": "只有周末有空"}, "用三个月学会游泳", "2026-05-25", "2026-05-25"),
        ({"goal": "写完报告"}, "下周五前写完报告", "2026-03-06", "2026-03-06"),
        ({"goal": "搬家", "dueDate": "2026-03-20"}, "", "2026-03-20", "2026-03-20"),
        ({"goal": "搬家", "dueDate": "2020-03-20"}, "", "2026-03-27", "2026-03-27"),
    ],
)
def test_what_was_said_becomes_the_goals_days(values: dict[str, str], said: str, due: str, ends: str) -> None:
    goal = goal_of(values, said, NOW)
    assert (goal.due.isoformat(), goal.ends.isoformat()) == (due, ends)


def test_the_time_that_there_is_and_the_days_away_are_read_from_the_limits() -> None:
    goal = goal_of({"goal": "考研", "constraints": "每天两小时；3月5号到9号出差；预算三千"}, "", NOW)
    assert goal.weekly_minutes == 14 * 60
    assert goal.away == ((dt.date(2026, 3, 5), dt.date(2026, 3, 9)),)
    assert goal.notes == ("每天两小时", "3月5号到9号出差", "预算三千")


def test_every_kind_is_whole_in_both_languages() -> None:
    for kind in kinds().values():
        for language in LANGUAGES:
            assert len(kind.phases[language]) >= 3
            assert {each.phase for each in kind.items[language]} == set(range(len(kind.phases[language])))
            assert all(each.check for each in kind.phases[language][:-1]), kind.name
            assert sum(each.need == 1 for each in kind.items[language]) >= 3
