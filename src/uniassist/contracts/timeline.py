"""TimelineEvent, the payloads by kind, and the envelope that streams carry."""

from __future__ import annotations

from typing import Any, Literal

from uniassist.contracts.base import Id, Int64, SchemaVersion, TimestampMs, Wire
from uniassist.contracts.inputs import Mode, UnifiedUserInput
from uniassist.contracts.interaction import DomainEvent, InteractionEvent
from uniassist.contracts.provider import ContextPackage

Kind = Literal[
    "inbound",
    "routing_decision",
    "provider_run",
    "interaction",
    "user_interaction",
    "domain_event",
    "delivery_event",
    "error",
]
RunStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
RoutingMode = Literal["normal", "fallback"]
InteractionSource = Literal["provider", "fallback", "system"]


class InboundPayload(Wire, kw_only=True, frozen=True):
    input: UnifiedUserInput


class ProviderRunPayload(Wire, rename=None, kw_only=True, frozen=True):
    """The contract mixes cases here: routing_mode and idempotency_key are snake_case on the wire."""

    providerId: Id
    mode: Mode
    score: float | None = None
    status: RunStatus
    routing_mode: RoutingMode
    idempotency_key: str
    context: ContextPackage


class InteractionPayload(Wire, kw_only=True, frozen=True):
    event: InteractionEvent
    source: InteractionSource


class DomainEventPayload(Wire, kw_only=True, frozen=True):
    event: DomainEvent


class TimelineEvent(Wire, kw_only=True, frozen=True):
    """`seq` starts at 1 in each session and has no gaps. `payload` is by `kind` one of the shapes above;
    msgspec.Raw is allowed there, so that stored JSON isn't parsed to be written out again."""

    schema_version: SchemaVersion
    event_id: Id
    trace_id: Id
    session_id: Id
    user_id: Id
    provider_id: Id | None = None
    run_id: Id | None = None
    seq: Int64
    timestamp_ms: TimestampMs
    kind: Kind
    extension_kind: str | None = None
    render_schema_ref: str | None = None
    payload: Any


class StreamKeys(Wire, kw_only=True, frozen=True):
    key: str
    global_key: str


class Envelope(Wire, kw_only=True, frozen=True):
    """What a stream entry's `payload` field holds."""

    schema_version: SchemaVersion
    type: Literal["timeline_event"]
    event: TimelineEvent
    stream: StreamKeys


class SseFrame(Wire, kw_only=True, frozen=True):
    """The `data` of a frame of /v0/stream."""

    schema_version: SchemaVersion
    type: Literal["timeline_event"]
    event: TimelineEvent


class TimelinePage(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    events: list[TimelineEvent]
    next_cursor: Int64
