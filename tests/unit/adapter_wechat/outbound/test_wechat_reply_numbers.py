"""New events become replies whose positions and numbers go on after those that are open."""

from __future__ import annotations

import time

import pytest

from uniassist.adapter_wechat.outbound.reply_book import book_of
from uniassist.adapter_wechat.rendering import menus
from uniassist.contracts import codec
from uniassist.contracts.interaction import Action, AssistantMessage, Card, Choice, InteractionEvent
from uniassist.contracts.timeline import InteractionPayload, InteractionSource
from uniassist.store.wechat.people import NewEvent, Person, PersonSnapshot, Reply


def event(
    seq: int, said: InteractionEvent, source: InteractionSource = "provider", provider_id: str = "plan"
) -> NewEvent:
    payload = codec.encode(InteractionPayload(event=said, source=source)).decode()
    return NewEvent(f"e{seq}", "t", "s", "r", provider_id, seq, payload)


def card(*labels: str) -> Card:
    return Card(title="选一个", actions=[Action(action_id=label, label=label) for label in labels])


def found(
    new: list[NewEvent], open_replies: list[Reply], last_position: int, menu: str | None = None
) -> PersonSnapshot:
    person = Person("o", 1.0, 0, None, 0, menu, last_position, 0, "me", True)
    return PersonSnapshot("1", "acted", person, None, None, 0.0, new, open_replies)


def test_numbers_and_positions_go_on_after_the_replies_that_are_open() -> None:
    first = book_of(found([event(1, card("甲", "乙"))], [], 6))
    (open_reply,) = first.in_state("waiting")
    book = book_of(found([event(2, card("丙")), event(3, card("丁"))], [open_reply], 7))
    shown = [(each.position, each.text.split("\n")[1:-1]) for each in book.in_state("waiting")]
    assert shown == [(7, ["1. 甲", "2. 乙"]), (8, ["3. 丙"]), (9, ["4. 丁"])]
    assert (book.changes.person.replies, book.changes.cursors) == (9, {"s": 3})
    numbers = [choice.number for each in book.in_state("waiting") for choice in menus.load_choices(each.choices)]
    assert numbers == [1, 2, 3, 4]


def test_an_event_that_says_nothing_takes_no_position_and_is_not_looked_at_again() -> None:
    book = book_of(
        found([event(1, AssistantMessage(text="\x01\u200b")), event(2, AssistantMessage(text="好"))], [], 0)
    )
    assert [(each.event_id, each.position) for each in book.in_state("waiting")] == [("e2", 1)]
    assert book.changes.cursors == {"s": 2}


@pytest.mark.parametrize(("provider_id", "begins"), [("builtin_chat", "还在等你选择："), ("chat", "帮不上忙")])
def test_while_a_question_waits_nothing_is_offered(provider_id: str, begins: str) -> None:
    """What the chat falls back to, with a model or without."""
    helpless = AssistantMessage(text="帮不上忙", choices=[Choice(key="ask:plan", label="计划")])
    said = event(1, helpless, "fallback", provider_id)
    (offered,) = book_of(found([said], [], 0)).in_state("waiting")
    assert offered.text == "帮不上忙\n1. 计划\n回复数字即可选择。"
    waits = menus.Pick(
        number=1,
        event_id="q",
        session_id="s",
        provider_id="work",
        run_id="q",
        action_id="yes",
        label="要",
        is_asked=True,
    )
    menu = menus.dump(menus.Menu(choices=[waits], shown_at_ms=int(time.time() * 1000)))
    (shown,) = book_of(found([said], [], 0, menu)).in_state("waiting")
    assert shown.text.startswith(begins)
    assert menus.load_choices(shown.choices) == []
