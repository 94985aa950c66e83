"""The provider side: context, invoke, interact, manifest, and events that come late."""

from __future__ import annotations

from typing import Any, Literal

from uniassist.contracts.base import Id, Int64, JsonObject, SchemaVersion, TimestampMs, Wire
from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.contracts.interaction import Ack, DomainEvent, InteractionEvent


class ContextUser(Wire, kw_only=True, frozen=True):
    user_id: Id
    locale: str | None = None
    timezone: str | None = None


class ContextSession(Wire, kw_only=True, frozen=True):
    session_id: Id
    recent_summary: str | None = None
    recent_events_cursor: Int64 | None = None


class ContextPackage(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    user: ContextUser
    profile_snapshot: JsonObject | None = None
    profile_ref: Id | None = None
    session: ContextSession | None = None
    memory_pointers: list[Any] | None = None
    permissions: list[str]
    policies: JsonObject | None = None


class InvokeRun(Wire, kw_only=True, frozen=True):
    run_id: Id
    provider_id: Id
    attempt: Int64
    idempotency_key: str


class InteractRun(Wire, kw_only=True, frozen=True):
    run_id: Id
    attempt: Int64
    idempotency_key: str


class InvokeRequest(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    input: UnifiedUserInput
    context: ContextPackage
    run: InvokeRun


class InvokeResponse(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    run_id: Id
    provider_id: Id
    ack: Ack
    immediate_events: list[InteractionEvent] | None = None


class InteractRequest(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    interaction: UserInteraction
    context: ContextPackage
    run: InteractRun


class InteractResponse(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    run_id: Id
    events: list[InteractionEvent]


class Capabilities(Wire, kw_only=True, frozen=True):
    inputs: list[str]
    interaction_events: list[str]
    streaming: bool


class Sla(Wire, kw_only=True, frozen=True):
    ack_within_ms: Int64
    max_sync_response_ms: Int64


class Security(Wire, kw_only=True, frozen=True):
    auth: str
    required_scopes: list[str]


class ProviderManifest(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    provider_id: Id
    name: str
    version: str
    description: str
    capabilities: Capabilities
    navigation: list[Any] | None = None
    sla: Sla | None = None
    security: Security


class LateInteraction(Wire, tag_field="kind", tag="interaction", kw_only=True, frozen=True):
    event_id: Id | None = None
    trace_id: Id
    session_id: Id
    user_id: Id
    run_id: Id
    event: InteractionEvent
    timestamp_ms: TimestampMs


class LateDomainEvent(Wire, tag_field="kind", tag="domain_event", kw_only=True, frozen=True):
    event_id: Id | None = None
    event: DomainEvent


class ChannelDelivery(Wire, kw_only=True, frozen=True):
    channel: str
    event_ids: list[Id]
    outcome: Literal["sent", "parked", "refused", "unknown"]
    detail: str | None = None


class LateDeliveryEvent(Wire, tag_field="kind", tag="delivery_event", kw_only=True, frozen=True):
    event_id: Id | None = None
    trace_id: Id | None = None
    session_id: Id
    user_id: Id
    run_id: Id | None = None
    event: ChannelDelivery
    timestamp_ms: TimestampMs


LateEvent = LateInteraction | LateDomainEvent | LateDeliveryEvent


class ProviderEventsRequest(Wire, kw_only=True, frozen=True):
    """`events` is decoded item by item (LateEvent), so that one bad item doesn't sink the others."""

    schema_version: SchemaVersion
    provider_id: Id
    events: list[Any]
    timestamp_ms: TimestampMs


class EventRejection(Wire, kw_only=True, frozen=True):
    index: Int64
    code: str
    message: str


class ProviderEventsResponse(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    accepted: Int64
    rejected: Int64
    errors: list[EventRejection] | None = None


class UserContext(Wire, kw_only=True, frozen=True):
    profile: JsonObject
    preferences: JsonObject
    consents: JsonObject
    updated_at: TimestampMs
