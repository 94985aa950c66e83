"""InteractionEvent: what a person sees, by `type`; and DomainEvent, what a provider reports."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from uniassist.contracts.base import Id, Int64, JsonObject, SchemaVersion, TimestampMs, Wire


class Action(Wire, kw_only=True, frozen=True):
    action_id: Id
    label: str
    style: Literal["primary", "secondary", "danger"] | None = None
    payload: Any = None


class Choice(Wire, kw_only=True, frozen=True):
    key: str
    label: str


class Field(Wire, kw_only=True, frozen=True):
    field_id: Id
    label: str
    kind: Literal["text", "select", "date"]
    required: bool | None = None
    placeholder: str | None = None
    options: list[Choice] | None = None


class Ack(Wire, tag_field="type", tag="ack", kw_only=True, frozen=True):
    message: str | None = None


class AssistantMessage(Wire, tag_field="type", tag="assistant_message", kw_only=True, frozen=True):
    """`message_id`: of the deltas that showed it while it was written.

    `choices`: what the person may tap instead of writing; a key is the `actionId` of the interaction with this run.
    """

    text: str
    markdown: bool | None = None
    message_id: Id | None = None
    choices: list[Choice] | None = None


class Card(Wire, tag_field="type", tag="card", kw_only=True, frozen=True):
    title: str
    body: str | None = None
    actions: list[Action] | None = None
    media: list[Any] | None = None


class Form(Wire, tag_field="type", tag="form", kw_only=True, frozen=True):
    form_id: Id
    title: str | None = None
    fields: list[Field]
    submit: Action


class Nav(Wire, tag_field="type", tag="nav", kw_only=True, frozen=True):
    label: str
    href: str


class RequestClarification(Wire, tag_field="type", tag="request_clarification", kw_only=True, frozen=True):
    question: str
    choices: list[Choice]
    multi: bool | None = None


class ErrorNotice(Wire, tag_field="type", tag="error", kw_only=True, frozen=True):
    user_message: str
    debug_message: str | None = None
    retryable: bool | None = None


ExtensionKind = Literal["data_collection_request", "data_collection_progress", "data_collection_result"]
ExtensionStatus = Literal["pending", "in_progress", "completed", "failed"]


class Progress(Wire, kw_only=True, frozen=True):
    step: Int64
    total: Int64
    label: str | None = None


class ExtensionPayload(Wire, kw_only=True, frozen=True):
    """One shape for the three extension kinds; `REQUIRED_BY_KIND` says what each of them needs."""

    provider_id: Id | None = None
    task_id: Id | None = None
    data_schema: JsonObject | None = None
    ui_schema: JsonObject | None = None
    status: ExtensionStatus | None = None
    progress: Progress | None = None
    values: JsonObject | None = None


REQUIRED_BY_KIND: dict[str, tuple[str, ...]] = {
    "data_collection_request": ("provider_id", "data_schema", "ui_schema", "status"),
    "data_collection_progress": ("progress",),
    "data_collection_result": ("data_schema", "ui_schema", "values", "status"),
}


class ProviderExtension(Wire, tag_field="type", tag="provider_extension", kw_only=True, frozen=True):
    extension_kind: ExtensionKind
    payload: ExtensionPayload

    def __post_init__(self) -> None:
        for name in REQUIRED_BY_KIND[self.extension_kind]:
            if getattr(self.payload, name) is None:
                known = msgspec.structs.fields(ExtensionPayload)
                wire_name = next(field.encode_name for field in known if field.name == name)
                raise ValueError(f"payload.{wire_name}: required for {self.extension_kind}")


InteractionEvent = (
    Ack | AssistantMessage | Card | Form | Nav | RequestClarification | ErrorNotice | ProviderExtension
)


class Related(Wire, kw_only=True, frozen=True):
    run_id: Id | None = None
    task_id: Id | None = None
    href: str | None = None


class DomainEvent(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    trace_id: Id | None = None
    session_id: Id | None = None
    user_id: Id
    provider_id: Id
    event_type: Literal["reminder", "progress", "approval_required", "exception", "summary"]
    title: str
    body: str | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    related: Related | None = None
    timestamp_ms: TimestampMs
