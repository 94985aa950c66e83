"""What clients send in and get back: UnifiedUserInput, IngestAck, RoutingDecision, UserInteraction."""

from __future__ import annotations

from typing import Any, Literal

from uniassist.contracts.base import Id, Int64, SchemaVersion, TimestampMs, Wire
from uniassist.contracts.interaction import InteractionEvent

Source = Literal["app", "wechat", "web", "api"]
Mode = Literal["sync", "async"]


class Channel(Wire, kw_only=True, frozen=True):
    id: Id
    type: str | None = None
    message_id: Id | None = None


# The WeChat channel's names: with the openid behind them. They can be guessed, so nobody else may take them.
WECHAT_SESSION, WECHAT_USER = "wx-session:", "wx:"


class Attachment(Wire, kw_only=True, frozen=True):
    id: Id
    type: Literal["image", "audio", "file"]
    url: str | None = None
    local_uri: str | None = None
    mime: str | None = None
    name: str | None = None
    size: Int64 | None = None
    sha256: str | None = None
    width: Int64 | None = None
    height: Int64 | None = None
    duration_ms: Int64 | None = None


class UnifiedUserInput(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    trace_id: Id
    user_id: Id
    session_id: Id
    source: Source
    timestamp_ms: TimestampMs
    channel: Channel | None = None
    text: str | None = None
    raw: Any = None
    attachments: list[Attachment] | None = None
    locale: str | None = None
    timezone: str | None = None


class Candidate(Wire, kw_only=True, frozen=True):
    """`score` is between 0 and 1.1, counted in integer thousandths before it gets here."""

    provider_id: Id
    score: float
    reason: str
    requires_clarification: bool
    suggested_mode: Mode


class HandedOver(Wire, kw_only=True, frozen=True):
    """A chat let somebody else answer. `by_run_id`: the chat's run; `run_id`: that of who answers.

    `text`: what it is asked, in the chat's words; absent: the person's own.
    """

    by_run_id: Id
    run_id: Id
    text: str | None = None


class RoutingDecision(Wire, kw_only=True, frozen=True):
    """`handed_over`: on the timeline only, of a decision that a chat made."""

    schema_version: SchemaVersion
    trace_id: Id
    session_id: Id
    candidates: list[Candidate]
    requires_user_confirmation: bool
    fallback: Literal["builtin_chat", "none"]
    timestamp_ms: TimestampMs
    handed_over: HandedOver | None = None


class RunRef(Wire, kw_only=True, frozen=True):
    provider_id: Id
    run_id: Id
    mode: Mode


class StreamRef(Wire, kw_only=True, frozen=True):
    type: Literal["sse"]
    href: str
    cursor: Int64


class IngestAck(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    trace_id: Id
    session_id: Id
    user_id: Id
    routing: RoutingDecision
    runs: list[RunRef]
    ack_events: list[InteractionEvent]
    stream: StreamRef
    timestamp_ms: TimestampMs


class StreamTicketRequest(Wire, kw_only=True, frozen=True):
    """The body of POST /v0/stream-tickets."""

    session_id: Id


class StreamTicket(Wire, kw_only=True, frozen=True):
    """`ticket`: for `/v0/stream?ticket=`, used once, before `expires_at`."""

    ticket: str
    expires_at: TimestampMs


class UserInteraction(Wire, kw_only=True, frozen=True):
    schema_version: SchemaVersion
    trace_id: Id
    session_id: Id
    user_id: Id
    provider_id: Id
    run_id: Id
    action_id: Id
    payload: Any = None
    timestamp_ms: TimestampMs


class InteractAck(Wire, kw_only=True, frozen=True):
    accepted: bool
    new_session_id: Id | None = None


class RunCancellation(Wire, kw_only=True, frozen=True):
    """The body of POST /v0/runs/{runId}/cancel."""

    schema_version: SchemaVersion
    trace_id: Id
    session_id: Id
    user_id: Id
    timestamp_ms: TimestampMs


class RunCancelled(Wire, kw_only=True, frozen=True):
    accepted: bool
    run_id: Id
    status: Literal["cancelled"]
