"""Invoke and interact, decided: requests in, answers out, nothing else."""

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
from uniassist.provider_plan.planner.model import Plan
from uniassist.provider_plan.planner.showing import in_words
from uniassist.provider_plan.talk import MOST_MISSES, Talk, task_id

PROVIDER_ID = "plan"
SUBMIT = "submit_data_collection"
_TASK = re.compile(r"plan-[0-9a-f]{24}")


def invoke(request: InvokeRequest) -> InvokeResponse:
    """An acknowledgement and the form, filled in as far as the person's words go.

    To a reply, what it changes in the form that is open, or in the plan that was made; or, where nothing is read in
    it, what may be said. After the second such reply in a row nothing more is expected.
    """
    message, user, is_reply = request.input, request.context.user, request.run.continues is not None
    locale, text, timezone = user.locale or message.locale, message.text or "", message.timezone or user.timezone
    talk = Talk.of(request.run)
    if talk.plan is not None:
        answer = plan_replies.answer(request, talk, locale, timezone)
        if answer is not None:
            return answer
        talk, is_reply = Talk(task_id(request.run.run_id), {}), False
    if is_reply:
        wants_goal = "goal" not in talk.known
        said = reading.read_reply(text, at_ms=message.timestamp_ms, timezone=timezone, wants_goal=wants_goal)
    else:
        said = reading.suggest(text, at_ms=message.timestamp_ms, timezone=timezone)
    events: list[InteractionEvent] = []
    is_read = bool(said) or not is_reply
    if not is_read:
        talk = replace(talk, misses=talk.misses + 1)
        greeting = say(
            "not_read" if talk.misses < MOST_MISSES else "given_up", locale, title=say("form_title", locale)
        )
    else:
        talk = replace(talk, known=reading.merged(talk.known, said), misses=0)
        greeting = _changed(locale, said) if is_reply else _greeting(locale, said)
        events.append(_ask(talk.task_id, locale, "pending", talk.known))
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=request.run.run_id,
        provider_id=request.run.provider_id,
        ack=Ack(message=greeting),
        immediate_events=events,
        expects_reply=ExpectsReply(hint=talk.noted()) if talk.misses < MOST_MISSES else None,
        passes=None if is_read else True,
    )


def interact(request: InteractRequest) -> InteractResponse:
    """The result of a submission, or the form again with what is wrong; else what can be done here."""
    locale, run_id = request.context.user.locale, request.run.run_id
    if request.interaction.action_id.startswith(SUBMIT):
        task = _task_of(request.interaction.payload) or task_id(run_id)
        today = day_of(request.interaction.timestamp_ms, request.context.user.timezone)
        submission = form.check(request.interaction.payload, locale, today)
        if submission.problems:
            return InteractResponse(
                schema_version=SCHEMA_VERSION,
                run_id=run_id,
                events=_refused(task, locale, submission),
                expects_reply=ExpectsReply(hint=Talk(task, submission.values).noted()),
            )
        at_ms = request.interaction.timestamp_ms
        plan = plan_replies.planned(submission.values, at_ms, request.context.user.timezone, locale)
        return InteractResponse(
            schema_version=SCHEMA_VERSION,
            run_id=run_id,
            events=_done(task, locale, submission, plan, today),
            expects_reply=plan_replies.expected(Talk(task, submission.values, plan=plan)),
        )
    events: list[InteractionEvent] = [
        AssistantMessage(text=say("unknown_action", locale, title=say("form_title", locale)))
    ]
    return InteractResponse(schema_version=SCHEMA_VERSION, run_id=run_id, events=events)


def _task_of(payload: object) -> str | None:
    """The form that a submission names; it may have been begun by an earlier run."""
    named = payload.get("taskId") if isinstance(payload, dict) else None
    return named if isinstance(named, str) and _TASK.fullmatch(named) is not None else None


def _changed(locale: str | None, said: Mapping[str, str]) -> str:
    return say("changed", locale, fields=_named(locale, said))


def _greeting(locale: str | None, known: Mapping[str, str]) -> str:
    if not known:
        return say("ack", locale)
    return say("ack_prefilled", locale, fields=_named(locale, known))


def _named(locale: str | None, values: Mapping[str, str]) -> str:
    """The fields' names; of days the day as well, for "下周五" may be understood in two ways."""
    days = {field.name for field in form.FIELDS if field.is_date}
    return say("between_names", locale).join(
        f"{say(name, locale)} {with_weekday(value, language(locale))}" if name in days else say(name, locale)
        for name, value in values.items()
    )


def _ask(task: str, locale: str | None, status: ExtensionStatus, known: Mapping[str, str]) -> ProviderExtension:
    return ProviderExtension(
        extension_kind="data_collection_request",
        payload=ExtensionPayload(
            provider_id=PROVIDER_ID,
            task_id=task,
            data_schema=form.data_schema(locale, known),
            ui_schema=form.ui_schema(locale),
            status=status,
        ),
    )


def _refused(task: str, locale: str | None, submission: form.Submission) -> list[InteractionEvent]:
    problems = say("between_sentences", locale).join(submission.problems)
    return [
        AssistantMessage(text=say("again", locale, problems=problems)),
        _ask(task, locale, "in_progress", submission.values),
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
