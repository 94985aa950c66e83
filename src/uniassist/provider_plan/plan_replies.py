"""What is said of a plan that was made, answered: the plan changed, shown, or why it can't be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import Ack, AssistantMessage, InteractionEvent
from uniassist.contracts.language import language
from uniassist.contracts.provider import ExpectsReply, InvokeRequest, InvokeResponse
from uniassist.provider_plan import reading
from uniassist.provider_plan.phrases import say
from uniassist.provider_plan.planner.changing import Change, Done, Refused, Show, change
from uniassist.provider_plan.planner.making import make
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.planner.reading import goal_of
from uniassist.provider_plan.planner.requests import request_in
from uniassist.provider_plan.planner.showing import day_in_words, in_words, next_in_words
from uniassist.provider_plan.talk import MOST_MISSES, Talk
from uniassist.times import now_in

# The last second of the year 9999: as long as may be, which is a day by the gateway's clock. The message's own
# clock may be anything, and an answer is a function of its request.
_AS_LONG_AS_MAY_BE_MS = 253_402_300_799_000


def planned(values: Mapping[str, str], at_ms: int, timezone: str | None, locale: str | None) -> Plan | None:
    """The plan of the form's good values; None for a clock that is no date, or one at the end of all dates."""
    now = now_in(at_ms, timezone)
    try:
        return make(goal_of(values, "", now), language(locale)) if now is not None else None
    except (ValueError, OverflowError):
        return None


def expected(talk: Talk) -> ExpectsReply | None:
    """What is said next of the plan, for as long as may be; nothing where there is no plan, or it is too long."""
    if talk.plan is None or replace(talk, known={}).noted() == replace(talk, known={}, plan=None).noted():
        return None
    return ExpectsReply(until_ms=_AS_LONG_AS_MAY_BE_MS, hint=talk.noted())


def answer(request: InvokeRequest, talk: Talk, locale: str | None, timezone: str | None) -> InvokeResponse | None:
    """None where the person wants something new planned."""
    message, plan = request.input, talk.plan
    text, at_ms = message.text or "", message.timestamp_ms
    now = now_in(at_ms, timezone)
    wanted = request_in(text, now, count=len(plan.steps)) if plan is not None and now is not None else None
    if plan is None or now is None or (wanted is None and "goal" in _new(text, at_ms, timezone)):
        return None
    if wanted is None:
        talk = replace(talk, misses=talk.misses + 1)
        key = "plan_not_read" if talk.misses < MOST_MISSES else "plan_given_up"
        return msgspec.structs.replace(_response(request, say(key, locale), [], talk), passes=True)
    return _changed(request, replace(talk, misses=0), plan, wanted, now.date(), locale)


def _new(text: str, at_ms: int, timezone: str | None) -> dict[str, str]:
    return reading.suggest(text, at_ms=at_ms, timezone=timezone)


def _changed(
    request: InvokeRequest, talk: Talk, plan: Plan, wanted: Change, today: dt.date, locale: str | None
) -> InvokeResponse:
    try:
        plan = change(plan, wanted, today)
    except Refused as refused:
        return _response(request, _why(refused, locale), [], talk)
    match wanted:
        case Show(is_next=False):
            greeting, shown = say("plan_shown", locale), in_words(plan, today)
        case Show():
            greeting, shown = say("plan_next", locale), next_in_words(plan, today)
        case Done():
            done = sum(each.done_on is not None for each in plan.steps)
            greeting = say("plan_done", locale, done=str(done), all=str(len(plan.steps)))
            shown = next_in_words(plan, today)
        case _:
            greeting, shown = say("plan_changed", locale), in_words(plan, today)
    return _response(request, greeting, [AssistantMessage(text=shown)], replace(talk, plan=plan))


def _why(refused: Refused, locale: str | None) -> str:
    shown = {
        name: day_in_words(value, language(locale)) if isinstance(value, dt.date) else str(value)
        for name, value in refused.values.items()
    }
    return say(f"refused_{refused.reason}", locale, **shown)


def _response(request: InvokeRequest, greeting: str, events: list[InteractionEvent], talk: Talk) -> InvokeResponse:
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=request.run.run_id,
        provider_id=request.run.provider_id,
        ack=Ack(message=greeting),
        immediate_events=events,
        expects_reply=expected(talk) if talk.misses < MOST_MISSES else None,
    )
