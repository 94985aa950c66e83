"""The provider side: context, invoke, interact, manifest, and events that come late."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from uniassist.contracts.base import Id, Int64, JsonObject, SchemaVersion, TimestampMs, Wire
from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.contracts.interaction import Ack, DomainEvent, InteractionEvent

MAX_HINT_LENGTH = 4000


class ContextUser(Wire, kw_only=True, frozen=True):
    """`subject`: of the app token that the session was opened with; absent where none was shown."""

    user_id: Id
    locale: str | None = None
    timezone: str | None = None
    subject: str | None = None


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


class ExpectsReply(Wire, kw_only=True, frozen=True):
    """The person's next text is meant for this provider, unless another one clearly wins it.

    `until_ms`: until when; half an hour from the answer where it isn't said, a day at most.
    `hint`: the provider's note to itself, which comes back with that text as `run.hint`.
    """

    until_ms: TimestampMs | None = None
    hint: Annotated[str, msgspec.Meta(max_length=MAX_HINT_LENGTH)] | None = None


class StaysOpen(Wire, kw_only=True, frozen=True):
    """The run goes on after this answer: it is `running` until a late event of kind `run`, or its time, ends it.

    `until_ms`: until when; the provider's `run_timeout_ms` from the answer where it isn't said, and at most.
    """

    until_ms: TimestampMs | None = None


class InvokeRun(Wire, kw_only=True, frozen=True):
    """`continues`: the run whose answer expected this text; `hint`: what it noted with that."""

    run_id: Id
    provider_id: Id
    attempt: Int64
    idempotency_key: str
    continues: Id | None = None
    hint: str | None = None


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
    """`passes`: the text, which came here because a reply was expected, isn't for this provider. Where a chat takes
    what is nobody's, that answers it, and the events here aren't shown.
    """

    schema_version: SchemaVersion
    run_id: Id
    provider_id: Id
    ack: Ack
    immediate_events: list[InteractionEvent] | None = None
    expects_reply: ExpectsReply | None = None
    stays_open: StaysOpen | None = None
    passes: bool | None = None


class InteractRequest(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    interaction: UserInteraction
    context: ContextPackage
    run: InteractRun


class InteractResponse(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    run_id: Id
    events: list[InteractionEvent]
    expects_reply: ExpectsReply | None = None


class ErasureRequest(Wire, kw_only=True, frozen=True):
    """A person's data is erased here: whatever the provider kept of them until `timestamp_ms` is to go as well.

    `subjects`: of the app tokens that they showed. Told again, it is to be answered the same.
    """

    schema_version: SchemaVersion
    user_id: Id
    subjects: list[Id]
    timestamp_ms: TimestampMs


class ErasureResponse(Wire, kw_only=True, frozen=True):
    """It is gone, or will be without another word."""

    schema_version: SchemaVersion
    accepted: Literal[True]


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


class LateRunEnd(Wire, tag_field="kind", tag="run", kw_only=True, frozen=True):
    """A run that stayed open is over."""

    event_id: Id | None = None
    trace_id: Id
    session_id: Id
    user_id: Id
    run_id: Id
    status: Literal["completed", "failed"]
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


LateEvent = LateInteraction | LateDomainEvent | LateDeliveryEvent | LateRunEnd


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
