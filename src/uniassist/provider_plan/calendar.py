"""Plans as iCalendar (RFC 5545): each step an event of whole days, known again when it is imported anew."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from icalendar import Alarm, Calendar, Event

from uniassist.contracts.language import Language
from uniassist.provider_plan import schedule
from uniassist.provider_plan.planner.model import Plan, Step
from uniassist.provider_plan.planner.showing import minutes_in_words
from uniassist.times import zone_of

MEDIA_TYPE = "text/calendar"
_PRODUCT = "-//UniAssist//provider-plan//EN"
_ONE_DAY = dt.timedelta(days=1)
_WORDS: dict[str, dict[Language, str]] = {
    "name": {"zh": "我的计划", "en": "My plans"},
    "minutes": {"zh": "约{each}", "en": "about {each}"},
    "times": {"zh": "{times}次，每次{each}", "en": "{times} times, {each} each"},
    "check": {"zh": "停下来看：{check}", "en": "Stop and look: {check}"},
    "of": {"zh": "“{goal}”的计划", "en": "Plan for “{goal}”"},
}


@dataclass(frozen=True)
class Exported:
    """`version` grows with each change. `timezone`: the person's, for the hour at which a step calls."""

    plan_id: str
    plan: Plan
    version: int
    changed_at: dt.datetime
    timezone: str | None


def calendar_of(plans: Sequence[Exported], language: Language, *, due_hour: int) -> bytes:
    """One file. Steps that are done, or begin with the event's own day, are in it as well."""
    file = Calendar()
    file.add("prodid", _PRODUCT)
    file.add("version", "2.0")
    file.add("calscale", "GREGORIAN")
    file.add("method", "PUBLISH")
    name = plans[0].plan.goal.text if len(plans) == 1 else _WORDS["name"][language]
    file.add("x-wr-calname", name)
    if len(plans) == 1 and plans[0].timezone is not None:
        file.add("x-wr-timezone", plans[0].timezone)
    for each in plans:
        for step, uid in with_uids(each.plan_id, each.plan):
            file.add_component(_event(each, step, uid, due_hour))
    return bytes(file.to_ical())


def with_uids(plan_id: str, plan: Plan) -> Iterator[tuple[Step, str]]:
    """Each step's name for good: it stays when the step is moved, done or done again, and others come and go.

    Steps of the same words in a phase are told apart by their order.
    """
    seen: Counter[tuple[int, int | None, str]] = Counter()
    for step in plan.steps:
        what = (step.item.phase, step.item.on_day, step.item.title)
        named = f"{plan_id}\n{what[0]}\n{what[1]}\n{what[2]}\n{seen[what]}"
        seen[what] += 1
        yield step, f"{hashlib.sha256(named.encode()).hexdigest()[:32]}@plan.uniassist"


def _event(exported: Exported, step: Step, uid: str, due_hour: int) -> Event:
    plan, language = exported.plan, exported.plan.language
    is_done = step.done_on is not None
    event = Event()
    event.add("uid", uid)
    event.add("sequence", exported.version - 1)
    event.add("dtstamp", exported.changed_at.astimezone(dt.UTC))
    event.add("last-modified", exported.changed_at.astimezone(dt.UTC))
    event.add("summary", f"✓ {step.item.title}" if is_done else step.item.title)
    # Whole days have no zone: they are the person's own wherever they are. The end is not in it.
    first, last = (step.done_on, step.done_on) if step.done_on is not None else (step.first, step.last)
    event.add("dtstart", first)
    event.add("dtend", last + _ONE_DAY)
    event.add("transp", "TRANSPARENT")
    event.add("status", "CONFIRMED")
    event.add("categories", [plan.phases[step.item.phase].title])
    event.add("description", "\n".join(_described(plan, step, language)))
    if not is_done:
        event.add_component(_alarm(step, exported, due_hour))
    return event


def _described(plan: Plan, step: Step, language: Language) -> Iterator[str]:
    yield _WORDS["of"][language].format(goal=plan.goal.text)
    if step.minutes:
        each = minutes_in_words(step.minutes, language)
        yield _WORDS["times" if step.times > 1 else "minutes"][language].format(times=step.times, each=each)
    phase = plan.phases[step.item.phase]
    ends = plan.checkpoint(step.item.phase) if step.item.on_day is None else None
    if phase.check is not None and ends == step.last:
        yield _WORDS["check"][language].format(check=phase.check)


def _alarm(step: Step, exported: Exported, due_hour: int) -> Alarm:
    """At the person's hour of the first day, as an instant: right across a change of summer time."""
    zone = zone_of(exported.timezone)
    at = schedule.morning(step.first, exported.timezone, due_hour).astimezone(zone)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", step.item.title)
    alarm.add("trigger", at.astimezone(dt.UTC))
    return alarm
