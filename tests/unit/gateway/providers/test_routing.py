"""Which providers a message concerns, counted in thousandths; what a session remembers of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.gateway.providers import routing
from uniassist.gateway.providers.routing import Decision, Memory, RoutingRule

PLAN = RoutingRule("plan", ("计划", "安排", "日程", "目标", "规划"))
WORK = RoutingRule("work", ("工作", "任务", "项目", "会议", "汇报", "交付"))
REMINDER = RoutingRule("reminder", ("提醒", "记录", "待办", "通知"))
ALL = (PLAN, WORK, REMINDER)

words = st.sampled_from([keyword for provider in ALL for keyword in provider.keywords] + ["你好", "天气", "吃饭"])
texts = st.lists(words, max_size=9).map("，".join)


def decide(text: str, memory: Memory | None = None) -> Decision:
    return routing.decide(text, ALL, memory or Memory())


def scores(decision: Decision) -> dict[str, int]:
    return {each.provider_id: each.score for each in decision.candidates}


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("你好", 0),
        ("计划", 630),
        ("计划计划计划", 630),
        ("计划安排", 810),
        ("计划安排日程", 950),
        ("计划安排日程目标规划", 950),
    ],
)
def test_a_score_counts_the_keywords_hit_up_to_a_cap(text: str, score: int) -> None:
    assert routing.score(text, PLAN, boost=0).score == score


def test_the_boost_comes_on_top_of_the_cap_and_without_a_hit() -> None:
    assert routing.score("计划安排日程", PLAN, boost=150).score == 1100
    assert routing.score("你好", PLAN, boost=150).score == 150


def test_keywords_are_found_in_any_case() -> None:
    provider = RoutingRule("meet", ("Meeting", "STRASSE"))
    assert routing.score("a MEETING in the Straße", provider, boost=0).hits == ("Meeting", "STRASSE")


def test_a_long_text_is_about_what_its_beginning_says() -> None:
    beyond = "x" * routing.ROUTED + "计划安排日程"
    assert routing.decide(beyond, [PLAN], routing.Memory()).candidates == ()
    within = "x" * (routing.ROUTED - 6) + "计划安排日程" + "工作" * 1000
    (found,) = routing.decide(within, [PLAN], routing.Memory()).candidates
    assert found.hits == ("计划", "安排", "日程")


def test_candidates_are_best_first_and_need_a_score() -> None:
    assert list(scores(decide("工作任务，再做个计划")).items()) == [("work", 810), ("plan", 630)]
    assert decide("你好").candidates == ()
    assert decide("").candidates == ()


def test_equal_scores_keep_the_order_of_the_providers() -> None:
    assert list(scores(decide("提醒工作计划"))) == ["plan", "work", "reminder"]


def test_two_are_selected_at_most_from_550_on() -> None:
    assert [each.provider_id for each in decide("提醒工作计划").selected] == ["plan", "work"]
    sticky = Memory(sticky="reminder", boost=150)
    assert decide("你好", sticky).selected == ()
    assert decide("你好", sticky).candidates[0].score == 150


@pytest.mark.parametrize(
    ("text", "memory", "confirm"),
    [
        ("工作计划", Memory(), True),
        ("工作任务计划", Memory(), False),
        ("计划", Memory(), False),
        ("工作计划", Memory(sticky="plan", boost=90), True),
        ("工作计划", Memory(sticky="plan", boost=100), False),
        ("工作计划", Memory(sticky="plan", boost=120), False),
    ],
)
def test_confirmation_is_asked_when_two_are_closer_than_100(text: str, memory: Memory, confirm: bool) -> None:
    assert decide(text, memory).needs_confirmation is confirm


def take(memory: Memory, texts: Sequence[str]) -> tuple[Memory, list[str | None]]:
    offers = []
    for text in texts:
        memory, offered = routing.after_turn(memory, decide(text, memory))
        offers.append(offered)
    return memory, offers


def test_the_first_provider_selected_becomes_sticky() -> None:
    assert take(Memory(), ["你好"])[0].sticky is None
    memory, _ = take(Memory(), ["你好", "计划"])
    assert (memory.sticky, memory.boost) == ("plan", 150)


def test_the_boost_decays_by_30_a_turn_to_nothing() -> None:
    memory, boosts = take(Memory(), ["计划"])[0], []
    for _ in range(7):
        boosts.append(memory.boost)
        memory, _ = routing.after_turn(memory, decide("你好", memory))
    assert boosts == [150, 120, 90, 60, 30, 0, 0]
    assert memory.sticky == "plan"


def test_a_switch_is_offered_after_two_turns_of_lead() -> None:
    memory, offers = take(Memory(sticky="plan"), ["工作", "工作"])
    assert offers == [None, "work"]
    assert memory.sticky == "plan", "only the person switches"


def test_a_lead_that_is_broken_begins_anew() -> None:
    assert take(Memory(sticky="plan"), ["工作", "你好", "工作"])[1] == [None, None, None]
    assert take(Memory(sticky="plan"), ["工作", "提醒", "提醒"])[1] == [None, None, "reminder"]


def test_a_lead_of_less_than_150_counts_for_nothing() -> None:
    assert take(Memory(sticky="plan"), ["工作计划", "工作计划"])[1] == [None, None]
    assert take(Memory(sticky="plan"), ["工作任务计划", "工作任务计划"])[1] == [None, "work"]


def test_an_offer_is_made_once_and_then_earned_again() -> None:
    assert take(Memory(sticky="plan"), ["工作"] * 5)[1] == [None, "work", None, "work", None]


def test_a_switch_taken_is_sticky_with_a_fresh_boost() -> None:
    memory = routing.switched(Memory(sticky="plan", boost=30, leader="work", lead_turns=1), "work")
    assert (memory.sticky, memory.boost, memory.leader, memory.lead_turns) == ("work", 150, None, 0)
    assert scores(decide("工作计划", memory)) == {"work": 780, "plan": 630}


@given(st.lists(texts, max_size=12))
def test_whatever_is_said_the_rules_hold(said: list[str]) -> None:
    memory = Memory()
    leads: list[str | None] = []
    for text in said:
        decision = decide(text, memory)
        found = scores(decision)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert all(0 < score <= 1100 for score in found.values())
        assert len(decision.selected) <= 2
        assert all(each.score >= 550 for each in decision.selected)
        others = [score for name, score in found.items() if name != memory.sticky]
        ahead = memory.sticky is not None and bool(others) and others[0] - found.get(memory.sticky, 0) >= 150
        leads.append(next(name for name in found if name != memory.sticky) if ahead else None)
        before = memory
        memory, offered = routing.after_turn(memory, decision)
        if offered is not None:
            assert leads[-2:] == [offered, offered]
        assert memory.sticky == (before.sticky or (decision.selected[0].provider_id if decision.selected else None))
        assert memory.boost in (150, max(0, before.boost - 30), before.boost)
