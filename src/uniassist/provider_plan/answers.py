"""Invoke and interact, decided: requests in, answers out, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import (
    Ack,
    AssistantMessage,
    ExtensionPayload,
    ExtensionStatus,
    InteractionEvent,
    Progress,
    ProviderExtension,
)
from uniassist.contracts.provider import (
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
)
from uniassist.provider_plan import form, reading
from uniassist.provider_plan.phrases import say

PROVIDER_ID = "plan"
SUBMIT = "submit_data_collection"


def invoke(request: InvokeRequest) -> InvokeResponse:
    """An acknowledgement and the form, filled in as far as the person's words go."""
    message, user = request.input, request.context.user
    locale = user.locale or message.locale
    known = reading.suggest(
        message.text or "", at_ms=message.timestamp_ms, timezone=message.timezone or user.timezone
    )
    return InvokeResponse(
        schema_version=SCHEMA_VERSION,
        run_id=request.run.run_id,
        provider_id=request.run.provider_id,
        ack=Ack(message=_greeting(locale, known)),
        immediate_events=[_ask(request.run.run_id, locale, "pending", known)],
    )


def interact(request: InteractRequest) -> InteractResponse:
    """The result of a submission, or the form again with what is wrong; else what can be done here."""
    locale, run_id = request.context.user.locale, request.run.run_id
    if request.interaction.action_id.startswith(SUBMIT):
        submission = form.check(request.interaction.payload, locale)
        events = _refused(run_id, locale, submission) if submission.problems else _done(run_id, locale, submission)
    else:
        events = [AssistantMessage(text=say("unknown_action", locale, title=say("form_title", locale)))]
    return InteractResponse(schema_version=SCHEMA_VERSION, run_id=run_id, events=events)


def task_id(run_id: str) -> str:
    """The same for the same run, within an id's length whatever the run is called."""
    return f"plan-{hashlib.sha256(run_id.encode()).hexdigest()[:24]}"


def _greeting(locale: str | None, known: Mapping[str, str]) -> str:
    if not known:
        return say("ack", locale)
    fields = say("between_names", locale).join(say(name, locale) for name in known)
    return say("ack_prefilled", locale, fields=fields)


def _ask(run_id: str, locale: str | None, status: ExtensionStatus, known: Mapping[str, str]) -> ProviderExtension:
    return ProviderExtension(
        extension_kind="data_collection_request",
        payload=ExtensionPayload(
            provider_id=PROVIDER_ID,
            task_id=task_id(run_id),
            data_schema=form.data_schema(locale, known),
            ui_schema=form.ui_schema(locale),
            status=status,
        ),
    )


def _refused(run_id: str, locale: str | None, submission: form.Submission) -> list[InteractionEvent]:
    problems = say("between_sentences", locale).join(submission.problems)
    return [
        AssistantMessage(text=say("again", locale, problems=problems)),
        _ask(run_id, locale, "in_progress", submission.values),
    ]


def _done(run_id: str, locale: str | None, submission: form.Submission) -> list[InteractionEvent]:
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
                task_id=task_id(run_id),
                progress=Progress(step=total, total=total, label=say("progress", locale)),
            ),
        ),
        ProviderExtension(
            extension_kind="data_collection_result",
            payload=ExtensionPayload(
                provider_id=PROVIDER_ID,
                task_id=task_id(run_id),
                data_schema=form.data_schema(locale, {}),
                ui_schema=form.ui_schema(locale),
                values=dict(submission.values),
                status="completed",
            ),
        ),
        AssistantMessage(text=say("summary", locale, lines=lines)),
    ]
