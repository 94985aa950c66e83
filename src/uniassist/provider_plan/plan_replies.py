"""What is said of plans that were made, answered: one changed, shown, deleted, exported, or why it can't be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from uniassist.contracts.interaction import AssistantMessage, Choice, InteractionEvent, Nav
from uniassist.contracts.language import language
from uniassist.contracts.provider import ExpectsReply
from uniassist.provider_plan import reading
from uniassist.provider_plan.phrases import say
from uniassist.provider_plan.planner.changing import Change, Done, Refused, Show, change
from uniassist.provider_plan.planner.ideas import Ideas, richer
from uniassist.provider_plan.planner.making import make
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.planner.reading import goal_of
from uniassist.provider_plan.planner.requests import request_in
from uniassist.provider_plan.planner.showing import day_in_words, in_words, next_in_words
from uniassist.provider_plan.shelf import Kept, Shelf
from uniassist.provider_plan.shelf_requests import ShelfRequest, shelf_request
from uniassist.provider_plan.talk import MOST_MISSES, Talk
from uniassist.times import now_in

# The last second of the year 9999: as long as may be, which is a day by the gateway's clock. The message's own
# clock may be anything, and an answer is a function of its request.
_AS_LONG_AS_MAY_BE_MS = 253_402_300_799_000
SHOW, RESTORE, EXPORT = "show_plan:", "restore_plan:", "export_plan:"
_MOST_PENDING = 200
_MOST_OFFERED = 10


@dataclass(frozen=True)
class Said:
    """A person's message or tap, as far as plans are concerned. `now`: their clock."""

    text: str
    now: dt.datetime
    locale: str | None
    is_wechat: bool = False

    @property
    def today(self) -> dt.date:
        return self.now.date()

    def phrase(self, key: str, **values: str) -> str:
        return say(key, self.locale, **values)


@dataclass(frozen=True)
class Reply:
    """`talk`: what is expected next; None: nothing. `passes`: it wasn't for us."""

    greeting: str
    events: Sequence[InteractionEvent] = ()
    talk: Talk | None = None
    passes: bool = False


def planned(
    values: Mapping[str, str], at_ms: int, timezone: str | None, locale: str | None, ideas: Ideas | None = None
) -> Plan | None:
    """The plan of the form's good values; None for a clock that is no date, or one at the end of all dates.

    `ideas`: a model's, where they make a plan that can be lived by.
    """
    now = now_in(at_ms, timezone)
    try:
        if now is None:
            return None
        goal, tongue = goal_of(values, "", now), language(locale)
        return (richer(goal, tongue, ideas) if ideas is not None else None) or make(goal, tongue)
    except (ValueError, OverflowError):
        return None


def expected(talk: Talk) -> ExpectsReply | None:
    """What is said next of the plan, for as long as may be; nothing where there is no plan, or it is too long."""
    if not talk.is_of_plan:
        return None
    is_lost = talk.plan is not None and (
        replace(talk, known={}).noted() == replace(talk, known={}, plan=None).noted()
    )
    return None if is_lost else ExpectsReply(until_ms=_AS_LONG_AS_MAY_BE_MS, hint=talk.noted())


def answer(said: Said, talk: Talk, shelf: Shelf, *, is_reply: bool) -> Reply | None:
    """None where it isn't about a plan that there is: something new is wanted, or a form is filled in."""
    if not shelf.is_kept:
        return _of_plan(said, talk, shelf, talk.plan, said.text) if talk.plan is not None else None
    goals = [each.plan.goal.text for each in shelf.plans]
    asked = shelf_request(said.text, goals, awaits_choice=talk.pending is not None)
    if asked.verb == "restore" and shelf.deleted:
        return restored(said, talk, shelf)
    if asked.makes_new and not asked.which:
        return None
    if asked.which > len(shelf.plans) and shelf.plans:
        number, count = str(asked.which), str(len(shelf.plans))
        return Reply(said.phrase("plan_no_such", number=number, count=count), talk=talk)
    if asked.verb is None and not asked.which and not talk.is_of_plan:
        return _fresh(said, talk, shelf) if not is_reply else None
    if not shelf.plans:
        return Reply(said.phrase("plans_none")) if asked.verb is not None else _missed(said, talk)
    return _of_kept(said, talk, shelf, asked)


def tapped(said: Said, action_id: str, talk: Talk, shelf: Shelf) -> Reply | None:
    """What was tapped of a plan; None: it is no such action."""
    for prefix in (SHOW, RESTORE, EXPORT):
        if not shelf.is_kept or not action_id.startswith(prefix):
            continue
        plan_id = action_id.removeprefix(prefix)
        if prefix == RESTORE:
            return restored(said, talk, shelf, plan_id)
        kept = shelf.of(plan_id)
        if kept is None:
            return Reply(said.phrase("plan_gone"))
        talk = replace(talk, plan_id=plan_id, plan=None, pending=None, misses=0)
        return _shown(said, talk, shelf, kept) if prefix == SHOW else _exported(said, talk, shelf, kept)
    return None


def restored(said: Said, talk: Talk, shelf: Shelf, plan_id: str | None = None) -> Reply:
    back = shelf.restore(plan_id)
    if not back:
        return Reply(said.phrase("plans_full" if shelf.is_full else "plan_gone", most=str(len(shelf.plans))))
    names = _names(said, back)
    talk = replace(talk, plan_id=back[-1].plan_id, plan=None, pending=None, misses=0)
    return Reply(said.phrase("plan_restored", goals=names), talk=talk)


def _fresh(said: Said, talk: Talk, shelf: Shelf) -> Reply | None:
    """A message that goes on with nothing. A change only where it names no goal of its own."""
    if not shelf.plans or "goal" in _new(said):
        return None
    wanted = request_in(said.text, said.now, count=len(shelf.plans[-1].plan.steps))
    if wanted is None or isinstance(wanted, Show):  # "给我安排…" looks like it
        return None
    only = shelf.plans[0] if len(shelf.plans) == 1 else None
    return _of_plan(said, talk, shelf, only, said.text) if only is not None else _ask_which(said, talk, shelf)


def _of_kept(said: Said, talk: Talk, shelf: Shelf, asked: ShelfRequest) -> Reply | None:
    if asked.verb == "list" and len(shelf.plans) > 1:
        return _ask_which(said, replace(talk, plan_id=None), shelf, pending="")
    if asked.is_all and asked.verb == "delete":
        return _deleted(said, talk, shelf, shelf.plans)
    if asked.is_all and asked.verb == "export":
        return _exported(said, talk, shelf, None)
    meant = shelf.plans[asked.which - 1] if asked.which else shelf.of(talk.plan_id)
    if meant is None and len(shelf.plans) == 1:
        meant = shelf.plans[0]
    if meant is None:
        if asked.verb == "export":
            return _exported(said, talk, shelf, None)
        if asked.verb is None and request_in(said.text, said.now, count=1) is None:
            return _missed(said, talk)
        return _ask_which(said, talk, shelf, pending="" if asked.verb in ("show", "list") else None)
    talk = replace(talk, plan_id=meant.plan_id, plan=None)
    if asked.verb == "delete":
        return _deleted(said, talk, shelf, [meant])
    if asked.verb == "export":
        return _exported(said, talk, shelf, meant)
    if asked.verb in ("show", "list"):
        return _shown(said, replace(talk, pending=None, misses=0), shelf, meant)
    if asked.which and talk.pending:
        pending = talk.pending
        talk = replace(talk, pending=None)
        verb = shelf_request(pending, []).verb
        if verb in ("delete", "export"):
            return _deleted(said, talk, shelf, [meant]) if verb == "delete" else _exported(said, talk, shelf, meant)
        return _of_plan(said, talk, shelf, meant, pending)
    talk = replace(talk, pending=None)
    if asked.which and request_in(asked.rest, said.now, count=len(meant.plan.steps)) is None:
        return _shown(said, replace(talk, misses=0), shelf, meant)
    return _of_plan(said, talk, shelf, meant, asked.rest)


def _of_plan(said: Said, talk: Talk, shelf: Shelf, meant: Kept | Plan, text: str) -> Reply | None:
    """The text changes that plan, or shows it. None where the person wants something new planned."""
    plan = meant.plan if isinstance(meant, Kept) else meant
    wanted = request_in(text, said.now, count=len(plan.steps))
    if wanted is None:
        return _missed(said, talk)
    talk = replace(talk, misses=0)
    if not isinstance(meant, Kept):
        return _changed(said, talk, shelf, plan, wanted)
    if isinstance(wanted, Show) and not wanted.is_next:
        return _shown(said, replace(talk, plan_id=meant.plan_id), shelf, meant)
    return _changed(said, replace(talk, plan_id=meant.plan_id), shelf, plan, wanted)


def _missed(said: Said, talk: Talk) -> Reply | None:
    """Nothing of a plan was read in it: something new to plan (None), or somebody else's."""
    if "goal" in _new(said):
        return None
    talk = replace(talk, misses=talk.misses + 1)
    given_up = talk.misses >= MOST_MISSES
    greeting = said.phrase("plan_given_up" if given_up else "plan_not_read")
    return Reply(greeting, talk=None if given_up else talk, passes=True)


def _new(said: Said) -> dict[str, str]:
    at_ms = int(said.now.timestamp() * 1000)
    zone = getattr(said.now.tzinfo, "key", None)
    return reading.suggest(said.text, at_ms=at_ms, timezone=zone)


def _changed(said: Said, talk: Talk, shelf: Shelf, plan: Plan, wanted: Change) -> Reply:
    try:
        changed = change(plan, wanted, said.today)
    except Refused as refused:
        return Reply(_why(refused, said), talk=talk)
    match wanted:
        case Show(is_next=False):
            greeting, shown = said.phrase("plan_shown"), in_words(changed, said.today)
        case Show():
            greeting, shown = said.phrase("plan_next"), next_in_words(changed, said.today)
        case Done():
            done = sum(each.done_on is not None for each in changed.steps)
            greeting = said.phrase("plan_done", done=str(done), all=str(len(changed.steps)))
            shown = next_in_words(changed, said.today)
        case _:
            greeting, shown = said.phrase("plan_changed"), in_words(changed, said.today)
    if talk.plan_id is None:
        talk = replace(talk, plan=changed)
    elif isinstance(wanted, Show):
        shelf.use(talk.plan_id)
    else:
        shelf.put(talk.plan_id, changed)
    return Reply(greeting, [AssistantMessage(text=shown)], talk)


def _shown(said: Said, talk: Talk, shelf: Shelf, kept: Kept) -> Reply:
    shelf.use(kept.plan_id)
    shown = AssistantMessage(text=in_words(kept.plan, said.today))
    return Reply(said.phrase("plan_shown"), [shown], replace(talk, plan_id=kept.plan_id))


def _ask_which(said: Said, talk: Talk, shelf: Shelf, *, pending: str | None = None) -> Reply:
    """The list, to choose from. `pending`: what is then to be done; None: what was said now."""
    lines = [_line(said, number, each.plan) for number, each in enumerate(shelf.plans, 1)]
    # In WeChat choices are lines themselves, and a number is read here as well.
    offered = () if said.is_wechat else shelf.plans[:_MOST_OFFERED]
    choices = [Choice(key=f"{SHOW}{each.plan_id}", label=each.plan.goal.text[:40]) for each in offered]
    key = "plans_listed" if pending == "" else "plans_which"
    talk = replace(talk, pending=said.text[:_MOST_PENDING] if pending is None else pending, misses=0)
    listed = AssistantMessage(text="\n".join(lines), choices=choices or None)
    return Reply(said.phrase(key, count=str(len(shelf.plans))), [listed], talk)


def _line(said: Said, number: int, plan: Plan) -> str:
    done = len(plan.steps) - len(plan.open)
    day = day_in_words(plan.goal.ends, language(said.locale))
    year = "" if plan.goal.ends.year == said.today.year else f"{plan.goal.ends.year} "
    return said.phrase(
        "plans_line",
        number=str(number),
        goal=plan.goal.text,
        day=year + day,
        done=str(done),
        all=str(len(plan.steps)),
    )


def _deleted(said: Said, talk: Talk, shelf: Shelf, gone: Sequence[Kept]) -> Reply:
    """At once, with a way back: to be asked first is a question too many, and to be told too late is worse."""
    names = _names(said, gone)
    shelf.delete([each.plan_id for each in gone])
    back = Choice(key=f"{RESTORE}{gone[0].plan_id}", label=said.phrase("plan_restore"))
    event = AssistantMessage(text=said.phrase("plan_restore_how"), choices=[back])
    # An empty choice: what is said next is read here, "撤销" above all, and no plan is meant.
    return Reply(
        said.phrase("plan_deleted", goals=names), [event], replace(talk, plan_id=None, plan=None, pending="")
    )


def _exported(said: Said, talk: Talk, shelf: Shelf, kept: Kept | None) -> Reply:
    url = shelf.link(kept.plan_id if kept is not None else None)
    if url is None:
        return Reply(said.phrase("calendar_no_address"), talk=talk)
    label = _names(said, [kept] if kept is not None else shelf.plans[:3])
    how = said.phrase("calendar_how_wechat" if said.is_wechat else "calendar_how")
    return Reply(
        said.phrase("calendar_ready"),
        [Nav(label=said.phrase("calendar_label", goals=label), href=url), AssistantMessage(text=how)],
        talk,
    )


def _names(said: Said, plans: Sequence[Kept]) -> str:
    return said.phrase("between_names").join(
        said.phrase("plan_name", goal=each.plan.goal.text[:40]) for each in plans
    )


def _why(refused: Refused, said: Said) -> str:
    shown = {
        name: day_in_words(value, language(said.locale)) if isinstance(value, dt.date) else str(value)
        for name, value in refused.values.items()
    }
    return said.phrase(f"refused_{refused.reason}", **shown)
