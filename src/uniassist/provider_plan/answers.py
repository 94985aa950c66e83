"""Invoke and interact, decided: a request and a person's shelf in, an answer out; what to keep is on the shelf."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.dates import day_of, with_weekday
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    ExtensionPayload,
    ExtensionStatus,
    InteractionEvent,
    Progress,
    ProviderExtension,
)
from uniassist.contracts.language import language
from uniassist.contracts.provider import (
    ExpectsReply,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
)
from uniassist.provider_plan import form, plan_replies, reading
from uniassist.provider_plan.phrases import say
from uniassist.provider_plan.plan_replies import Reply, Said
from uniassist.provider_plan.planner.ideas import Ideas
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.planner.showing import in_words
from uniassist.provider_plan.shelf import Shelf
from uniassist.provider_plan.talk import MOST_MISSES, Talk, task_id
from uniassist.times import now_in

PROVIDER_ID = "plan"
SUBMIT = "submit_data_collection"
_MOST_SHOWN = 60  # characters of what was read
_TASK = re.compile(r"plan-[0-9a-f]{24}")


def invoke(request: InvokeRequest, shelf: Shelf | None = None) -> InvokeResponse:
    """An acknowledgement and the form, for what the person's words leave open.

    To a reply, what it changes in the form that is open, or in the plan that was made; or, where nothing is read in
    it, what may be said. After the second such reply in a row nothing more is expected.
    """
    shelf = shelf or Shelf()
    message, user, is_reply = request.input, request.context.user, request.run.continues is not None
    locale, text, timezone = user.locale or message.locale, message.text or "", message.timezone or user.timezone
    talk = _adopted(Talk.of(request.run), shelf)
    now = now_in(message.timestamp_ms, timezone)
    if now is not None:
        said = Said(text, now, locale, is_wechat=message.source == "wechat")
        reply = plan_replies.answer(said, talk, shelf, is_reply=is_reply)
        if reply is not None:
            return _invoked(request, reply)
    if talk.is_of_plan:
        talk, is_reply = Talk(task_id(request.run.run_id), {}), False
    if is_reply:
        before = talk.known.get("goal", "")
        read = reading.read_reply(
            text, at_ms=message.timestamp_ms, timezone=timezone, wants_goal=not before, before=before
        )
    else:
        read = reading.suggest(text, at_ms=message.timestamp_ms, timezone=timezone)
    events: list[InteractionEvent] = []
    is_read = bool(read) or not is_reply
    if not is_read:
        talk = replace(talk, misses=talk.misses + 1)
        greeting = say(
            "not_read" if talk.misses < MOST_MISSES else "given_up", locale, title=say("form_title", locale)
        )
    else:
        talk = replace(talk, known=reading.merged(talk.known, read), misses=0)
        greeting = _noted(locale, read, is_reply=is_reply, is_kept=shelf.is_kept)
        events.append(_ask(talk.task_id, locale, "pending", talk.known, shelf))
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=request.run.run_id,
        provider_id=request.run.provider_id,
        ack=Ack(message=greeting),
        immediate_events=events,
        expects_reply=ExpectsReply(hint=talk.noted()) if talk.misses < MOST_MISSES else None,
        passes=None if is_read else True,
    )


def interact(request: InteractRequest, shelf: Shelf | None = None, ideas: Ideas | None = None) -> InteractResponse:
    """The result of a submission, or the form again with what is wrong; else what can be done here.

    `ideas`: what a model suggested for the plan that is made.
    """
    shelf = shelf or Shelf()
    locale, timezone = request.context.user.locale, request.context.user.timezone
    run_id, at_ms, action = request.run.run_id, request.interaction.timestamp_ms, request.interaction.action_id
    now = now_in(at_ms, timezone)
    if not action.startswith(SUBMIT):
        said = Said("", now, locale) if now is not None else None
        talk = Talk(task_id(run_id), {})
        reply = plan_replies.tapped(said, action, talk, shelf) if said is not None else None
        if reply is None:
            reply = Reply(say("unknown_action", locale, title=say("form_title", locale)))
        return _interacted(run_id, reply)
    task = task_of(request)
    submission = submitted(request, shelf)
    if submission.problems:
        return InteractResponse(
            schema_version=SCHEMA_VERSION,
            run_id=run_id,
            events=_refused(task, locale, submission, shelf),
            expects_reply=ExpectsReply(hint=Talk(task, submission.values).noted()),
        )
    plan = plan_replies.planned(submission.values, at_ms, timezone, locale, ideas)
    if plan is not None and shelf.is_full and shelf.of(task) is None:
        full = Reply(say("plans_full", locale, most=str(len(shelf.plans))))
        return _interacted(run_id, full)
    talk = Talk(task, submission.values, plan=plan)
    if plan is not None and shelf.is_kept:
        shelf.put(task, plan)
        talk = Talk(task, {}, plan_id=task)
    events = _done(task, locale, submission, plan, now.date() if now is not None else None)
    if talk.plan_id is not None:
        events.append(AssistantMessage(text=say("plan_kept", locale)))
    return InteractResponse(
        schema_version=SCHEMA_VERSION, run_id=run_id, events=events, expects_reply=plan_replies.expected(talk)
    )


def submitted(request: InteractRequest, shelf: Shelf) -> form.Submission:
    """What the form has now, with what was known before it was shown and isn't in it."""
    user = request.context.user
    today = day_of(request.interaction.timestamp_ms, user.timezone)
    return form.check(request.interaction.payload, user.locale, today, known=shelf.draft)


def task_of(request: InteractRequest) -> str:
    """The form that a submission names, which may have been begun by an earlier run; else this run's own."""
    payload = request.interaction.payload
    named = payload.get("taskId") if isinstance(payload, dict) else None
    is_one = isinstance(named, str) and _TASK.fullmatch(named) is not None
    return str(named) if is_one else task_id(request.run.run_id)


def _adopted(talk: Talk, shelf: Shelf) -> Talk:
    """A plan that still travels, from before plans were kept, is kept from now on."""
    if not shelf.is_kept or talk.plan is None or (shelf.is_full and shelf.of(talk.task_id) is None):
        return talk
    if shelf.of(talk.task_id) is None:
        shelf.put(talk.task_id, talk.plan)
    return replace(talk, plan=None, plan_id=talk.task_id)


def _invoked(request: InvokeRequest, reply: Reply) -> InvokeResponse:
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=request.run.run_id,
        provider_id=request.run.provider_id,
        ack=Ack(message=reply.greeting),
        immediate_events=list(reply.events),
        expects_reply=plan_replies.expected(reply.talk) if reply.talk is not None else None,
        passes=True if reply.passes else None,
    )


def _interacted(run_id: str, reply: Reply) -> InteractResponse:
    return InteractResponse(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        events=[AssistantMessage(text=reply.greeting), *reply.events],
        expects_reply=plan_replies.expected(reply.talk) if reply.talk is not None else None,
    )


def _noted(locale: str | None, read: Mapping[str, str], *, is_reply: bool, is_kept: bool) -> str:
    """What was read. Where it is kept the form doesn't show it again, so the values are said."""
    if not read:
        return say("ack", locale)
    key = "changed" if is_reply else "ack_prefilled"
    return say(f"{key}_kept" if is_kept else key, locale, fields=_named(locale, read, with_values=is_kept))


def _named(locale: str | None, values: Mapping[str, str], *, with_values: bool) -> str:
    """The fields' names; of days the day as well, for "下周五" may be understood in two ways."""
    days = {field.name for field in form.FIELDS if field.is_date}
    named = []
    for name, value in values.items():
        field = say(name, locale)
        if name in days:
            field = f"{field} {with_weekday(value, language(locale))}"
        elif with_values:
            field = say("field_value", locale, field=field, value=value[:_MOST_SHOWN])
        named.append(field)
    return say("between_names", locale).join(named)


def _ask(
    task: str, locale: str | None, status: ExtensionStatus, known: Mapping[str, str], shelf: Shelf
) -> ProviderExtension:
    """Where what is known is noted, the form asks for the rest; else it has all of it."""
    shelf.note(task, known)
    fields = form.left_open(known) if shelf.is_kept else form.FIELDS
    return ProviderExtension(
        extension_kind="data_collection_request",
        payload=ExtensionPayload(
            provider_id=PROVIDER_ID,
            task_id=task,
            data_schema=form.data_schema(locale, known, fields),
            ui_schema=form.ui_schema(locale, fields),
            status=status,
        ),
    )


def _refused(task: str, locale: str | None, submission: form.Submission, shelf: Shelf) -> list[InteractionEvent]:
    problems = say("between_sentences", locale).join(submission.problems)
    return [
        AssistantMessage(text=say("again", locale, problems=problems)),
        _ask(task, locale, "in_progress", submission.values, shelf),
    ]


def _done(
    task: str, locale: str | None, submission: form.Submission, plan: Plan | None, today: dt.date | None
) -> list[InteractionEvent]:
    if plan is not None and today is not None:
        lines = in_words(plan, today)
    else:
        lines = "\n".join(
            say("summary_line", locale, field=say(name, locale), value=value)
            for name, value in submission.values.items()
        )
    total = len(form.FIELDS)
    return [
        ProviderExtension(
            extension_kind="data_collection_progress",
            payload=ExtensionPayload(
                provider_id=PROVIDER_ID,
                task_id=task,
                progress=Progress(step=total, total=total, label=say("progress", locale)),
            ),
        ),
        ProviderExtension(
            extension_kind="data_collection_result",
            payload=ExtensionPayload(
                provider_id=PROVIDER_ID,
                task_id=task,
                data_schema=form.data_schema(locale, {}),
                ui_schema=form.ui_schema(locale),
                values=dict(submission.values),
                status="completed",
            ),
        ),
        AssistantMessage(text=say("summary", locale, lines=lines)),
    ]
