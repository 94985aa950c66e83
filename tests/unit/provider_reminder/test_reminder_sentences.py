"""What is said to the reminder, and what comes of it: conversations as data, in two languages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from uniassist.contracts.language import language, written_in
from uniassist.provider_reminder.deciding import Decision, Person, decide
from uniassist.provider_reminder.talk import Talk
from uniassist.store.reminders import Reminder

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 2, 25, 10, 16, tzinfo=SHANGHAI)
Turn = tuple[str, str, str]


class Conversation:
    """A person and what waits for them, as the service would keep it."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.now = now
        self.waiting: list[Reminder] = []
        self.lately: list[Reminder] = []
        self._talk: Talk | None = None
        self._runs = 0

    def says(self, text: str) -> Decision:
        self._runs += 1
        spoken = language(written_in(text) or "zh")
        waiting = sorted(self.waiting, key=lambda each: each.due_at or self.now)
        person = Person(self.now, spoken, waiting, self.lately)
        before = Talk.of(self._talk.noted()) if self._talk is not None else Talk()
        decision = decide(text, f"run-{self._runs}", person, before, is_reply=self._talk is not None)
        changed = {each.reminder_id: each for each in decision.changes}
        kept = [each for each in self.waiting if each.reminder_id not in changed]
        self.waiting = [*kept, *(each for each in changed.values() if each.due_at is not None)]
        self._talk = decision.talk
        return decision

    def shown(self) -> str:
        """As the table has it."""
        waiting = sorted(self.waiting, key=lambda each: (each.due_at or self.now, each.reminder_id))
        return " + ".join(sorted((_shown(each) for each in waiting), key=lambda each: each)) or "-"


def _shown(each: Reminder) -> str:
    assert each.due_at is not None
    due = each.due_at.astimezone(SHANGHAI)
    if each.rule is None:
        return f"{each.matter}@{due:%m-%dT%H:%M}"
    hourly = "HOURLY" in each.rule
    if each.anchor is not None and not hourly and each.anchor.time() != due.time().replace(second=0):
        return f"{each.matter}@{due:%m-%dT%H:%M}*"
    return f"{each.matter}@{each.rule} {due:%H:%M}"


def conversations() -> Iterator[list[Turn]]:
    turns: list[Turn] = []
    for line in (Path(__file__).parent / "sentences.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        if not line:
            yield turns
            turns = []
            continue
        text, waits, *asked = line.split("\t")
        turns.append((text, waits, asked[0] if asked else ""))
    yield turns


def _sorted(waits: str) -> str:
    return " + ".join(sorted(waits.split(" + ")))


@pytest.mark.parametrize("turns", list(conversations()), ids=lambda turns: turns[0][0])
def test_each_sentence_leads_to_what_a_person_would_expect(turns: list[Turn]) -> None:
    conversation = Conversation()
    for text, waits, asked in turns:
        decision = conversation.says(text)
        assert conversation.shown() == _sorted(waits), (text, decision.said)
        asks = decision.talk.asks if decision.talk is not None else ""
        assert ("pass" if decision.passes else f"?{asks}" if asks else "") == asked, (text, decision.said)


def test_the_table_is_as_long_as_it_was_promised_to_be() -> None:
    said = [text for turns in conversations() for text, _, _ in turns]
    english = [text for text in said if written_in(text) == "en"]
    assert (len(said) >= 100, len(english) >= 40, len(said) - len(english) >= 40) == (True, True, True)


def test_what_was_said_is_snoozed_for_ten_minutes_or_as_long_as_is_said() -> None:
    conversation = Conversation()
    conversation.says("明天九点提醒我交报告")
    conversation.lately = [dt_said(conversation.waiting.pop(), NOW)]
    for text, minutes in (
        ("稍后提醒", 10),
        ("10 分钟后再提醒", 10),
        ("snooze 15 minutes", 15),
        ("snooze for an hour", 60),
    ):
        decision = conversation.says(text)
        (snoozed,) = decision.changes
        assert snoozed.due_at == NOW + dt.timedelta(minutes=minutes), text
        conversation.waiting = []
    (again,) = conversation.says("remind me again at 3pm").changes
    assert again.due_at == NOW.replace(hour=15, minute=0)
    assert conversation.says("半小时后再提醒我关火").changes[0].matter == "关火", "something new"


def dt_said(reminder: Reminder, at: dt.datetime) -> Reminder:
    return Reminder(reminder.reminder_id, reminder.matter, reminder.language, None, said_at=at)


def test_the_answer_names_the_day_and_the_next_time_of_what_recurs() -> None:
    conversation = Conversation()
    assert conversation.says("明天九点提醒我交报告").said.startswith("好的，明天（周四）09:00 提醒你：交报告。")
    assert (
        "every Monday at 09:00 (next: on Monday, 2 Mar at 09:00): stretch"
        in conversation.says("every Monday at 9 remind me to stretch").said
    )
    assert "九点" not in conversation.says("九点提醒我打电话").said
    assert "今天（周三）21:00" in conversation.says("九点提醒我打电话").said, "of two nines the one that comes"


def test_a_list_is_bounded_and_so_is_how_many_there_may_be() -> None:
    conversation = Conversation()
    for day in range(200):
        conversation.waiting.append(Reminder(f"rem-{day}", "x", "zh", NOW + dt.timedelta(days=day + 1)))
    said = conversation.says("我的提醒").said
    assert (said.count("\n"), "还有 180 个" in said) == (22, True)
    refused = conversation.says("明天九点提醒我交报告")
    assert (refused.changes, "已经有 200 个提醒" in refused.said) == ((), True)


def test_a_hint_of_somebody_elses_and_a_long_matter_are_no_harm() -> None:
    assert Talk.of("{") == Talk.of(None) == Talk()
    long = Talk(ids=["rem-" + "a" * 24] * 30, matter="\x01" * 500, verb="\x01" * 500)
    assert len(long.noted()) <= 4000
    assert Talk.of(long.noted()).ids == long.ids[:20] or len(Talk.of(long.noted()).ids) == 20
