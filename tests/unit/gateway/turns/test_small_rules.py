"""Idle sessions, ids, the breaker, the context's reference, phrases."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts.language import language
from uniassist.gateway.providers.breaker import Breaker
from uniassist.gateway.turns import context, idle, phrases
from uniassist.gateway.turns.ids import new_id
from uniassist.gateway.turns.phrases import say
from uniassist.store.ledger import Session

DAY_MS = 24 * 60 * 60 * 1000
NOW_MS = 1_800_000_000_000
int64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("after_ms", "is_idle"), [(0, False), (DAY_MS, False), (DAY_MS + 1, True), (-DAY_MS, False)]
)
def test_a_session_is_idle_after_more_than_a_day(after_ms: int, is_idle: bool) -> None:
    last_ms = NOW_MS - 2 * DAY_MS
    assert idle.is_idle(last_ms, last_ms + after_ms, NOW_MS) is is_idle


def test_a_time_in_the_future_counts_as_now() -> None:
    assert idle.activity_ms(NOW_MS + 1, NOW_MS) == NOW_MS
    assert not idle.is_idle(NOW_MS - DAY_MS, NOW_MS + 10 * DAY_MS, NOW_MS)


@given(int64, int64, int64)
def test_idleness_never_comes_from_the_future(last_ms: int, at_ms: int, now_ms: int) -> None:
    assert idle.activity_ms(at_ms, now_ms) <= now_ms
    if idle.is_idle(last_ms, at_ms, now_ms):
        assert min(at_ms, now_ms) > last_ms + DAY_MS


@given(st.text(min_size=1, max_size=256))
def test_a_successors_id_begins_as_the_old_one_and_stays_an_id(session_id: str) -> None:
    line = [session_id]
    for _ in range(12):
        line.append(idle.successor_id(line[-1], new_id()))
    assert all(1 <= len(each) <= 256 for each in line)
    assert len(set(line)) == len(line)
    assert line[1].startswith(session_id[:200])


def test_ids_are_ordered_by_time_and_of_the_standards_layout() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [each[:12] for each in made] == sorted(each[:12] for each in made)
    assert {each[12] for each in made} == {"7"}
    assert {each[16] for each in made} <= set("89ab")


def test_the_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(failures_to_open=3, open_seconds=10)
    for now in (0.0, 1.0):
        breaker.failed(now)
    breaker.succeeded()
    for now in (2.0, 3.0):
        breaker.failed(now)
    assert breaker.allows(3.0)
    breaker.failed(4.0)
    assert not breaker.allows(4.0)
    assert not breaker.allows(13.9)


def test_an_open_breaker_lets_one_trial_through_at_a_time() -> None:
    breaker = Breaker(failures_to_open=1, open_seconds=10)
    breaker.failed(0.0)
    assert [breaker.allows(10.0), breaker.allows(10.0), breaker.allows(19.9)] == [True, False, False]
    breaker.failed(19.9)
    assert not breaker.allows(29.8)
    assert breaker.allows(29.9)
    breaker.succeeded()
    assert [breaker.allows(30.0), breaker.allows(30.0)] == [True, True]


def test_a_refusal_neither_opens_nor_closes_a_breaker() -> None:
    breaker = Breaker(failures_to_open=2, open_seconds=10)
    for now in (0.0, 1.0, 2.0):
        breaker.refused(now)
    assert breaker.allows(2.0)
    breaker.failed(3.0)
    breaker.refused(3.0)
    breaker.failed(4.0)
    assert not breaker.allows(13.9), "a refusal between two failures is no success"


def test_a_refused_trial_leaves_the_trial_to_the_next_call() -> None:
    breaker = Breaker(failures_to_open=1, open_seconds=10)
    breaker.failed(0.0)
    assert [breaker.allows(10.0), breaker.allows(10.0)] == [True, False]
    breaker.refused(10.5)
    assert [breaker.allows(10.5), breaker.allows(10.5)] == [True, False]
    breaker.failed(11.0)
    assert not breaker.allows(20.9)


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["ok", "fail", "refused", "silent"])), max_size=40))
def test_a_provider_that_is_well_again_is_always_tried_again(steps: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(failures_to_open=3, open_seconds=10), 0.0
    for pause, outcome in steps:
        now += pause
        if breaker.allows(now) and outcome == "ok":
            breaker.succeeded()
        elif outcome == "fail":
            breaker.failed(now)
        elif outcome == "refused":
            breaker.refused(now)
    assert breaker.allows(now + 10.0)


def package(user_id: str) -> str | None:
    return context.package(Session("s", user_id, 1, NOW_MS, False, None, "{}", False)).profile_ref


def test_a_profile_reference_names_its_user_or_nobody() -> None:
    assert package("u") == "profile:u"
    assert package("u" * 248) == "profile:" + "u" * 248
    assert package("u" * 249) is None, "cut short it would name another user"


@pytest.mark.parametrize("key", sorted(phrases._CATALOGUE))
def test_every_phrase_is_there_in_both_languages_with_the_same_places(key: str) -> None:
    both = phrases._CATALOGUE[key]
    assert set(both) == {"zh", "en"}
    assert all(both.values())
    assert places(both["zh"]) == places(both["en"])


def places(phrase: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name is not None}


@pytest.mark.parametrize(
    ("locale", "chosen"),
    [
        (None, "zh"),
        ("", "zh"),
        ("zh-CN", "zh"),
        ("fr", "zh"),
        ("en", "en"),
        ("EN_us", "en"),
        ("en-GB", "en"),
        ("enx", "zh"),
    ],
)
def test_the_language_is_the_locales_and_chinese_by_default(locale: str | None, chosen: str) -> None:
    assert language(locale) == chosen


def test_values_are_put_in_as_they_are() -> None:
    assert say("switch_title", "zh", provider="{a}%s<b>") == "建议切换到 {a}%s<b>"
    assert "话题变化" in say("drift_title", "zh")
    assert "话题变化" in say("drift_title", "en"), "the contract names the card by this word"
