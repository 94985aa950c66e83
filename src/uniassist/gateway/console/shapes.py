"""What the console's calls answer. Times are Unix milliseconds; absent where nothing is stored."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from uniassist.contracts.base import Id, Int64, JsonObject, SchemaVersion, TimestampMs, Wire
from uniassist.contracts.timeline import Kind, RunStatus, TimelineEvent

State = Literal["pending", "processing", "failed", "delivered", "consumed", "dead_letter"]


def ms(at: dt.datetime | None) -> int | None:
    """Unix milliseconds; None stays None."""
    return None if at is None else int(at.timestamp() * 1000)


class ProviderName(Wire, frozen=True):
    """A provider as a person may call it. `connected`: it can be asked."""

    provider_id: Id
    zh: str
    en: str
    example_zh: str
    example_en: str
    connected: bool


class Me(Wire, frozen=True):
    """Who looks, and what they look at. `act_token`: for acts; absent for who may read only.

    `app_auth`: jwt: messages need an app token.
    """

    schema_version: SchemaVersion
    name: str
    role: Literal["read", "act"]
    via: Literal["token", "proxy", "this machine"]
    env: str
    version: str
    revision: str
    app_auth: Literal["off", "jwt"]
    shows_releases: bool
    providers: list[ProviderName]
    now: TimestampMs
    act_token: str | None = None


class SessionSeen(Wire, frozen=True):
    """`memory`: what it remembers for routing. `preview`: what was said last."""

    session_id: Id
    user_id: Id
    seq: Int64
    last_activity_at: TimestampMs
    created_at: TimestampMs
    signed: bool
    memory: JsonObject
    subject: str | None = None
    successor_id: str | None = None
    preview: str | None = None


class Sessions(Wire, frozen=True):
    schema_version: SchemaVersion
    sessions: list[SessionSeen]


class TimelineSlice(Wire, frozen=True):
    """`more`: there may be further events behind the last."""

    schema_version: SchemaVersion
    events: list[TimelineEvent]
    more: bool


class Delivery(Wire, frozen=True, omit_defaults=True):
    """An event's row of the outbox."""

    id: Int64
    status: State
    attempts: Int64
    max_attempts: Int64
    last_error: str | None = None
    created_at: TimestampMs | None = None
    locked_by: str | None = None
    locked_at: TimestampMs | None = None
    next_retry_at: TimestampMs | None = None
    delivered_at: TimestampMs | None = None
    consumed_at: TimestampMs | None = None
    consumed_by: str | None = None
    epoch: str | None = None
    traceparent: str | None = None


class Replay(Wire, frozen=True):
    replay_token: str
    previous_status: str
    previous_attempts: Int64
    at: TimestampMs
    note: str | None = None


class LifeEvent(Wire, frozen=True):
    """An event of a life. `at`: as it says; `committed_at`: as Postgres says.

    `payload`: masked; text where it was `cut`. `outbox` absent: the row is gone, consumed long ago.
    `session_entry`, `global_entry`: ids on the streams, as far as the entries are still there.
    """

    event_id: Id
    seq: Int64
    kind: Kind
    at: TimestampMs
    committed_at: TimestampMs
    payload: Any
    cut: bool = False
    provider_id: str | None = None
    run_id: str | None = None
    extension_kind: str | None = None
    outbox: Delivery | None = None
    replays: list[Replay] = msgspec.field(default_factory=list)
    session_entry: str | None = None
    global_entry: str | None = None


class LifeRun(Wire, frozen=True):
    run_id: Id
    trace_id: Id
    provider_id: Id
    mode: str
    routing_mode: str
    status: RunStatus
    created_at: TimestampMs
    updated_at: TimestampMs
    score: float | None = None
    deadline_at: TimestampMs | None = None


class LifeCall(Wire, frozen=True):
    """A call whose answer is still owed."""

    call_id: Id
    run_id: Id
    provider_id: Id
    kind: str
    attempt: Int64
    lease_owner: str
    lease_expires_at: TimestampMs
    created_at: TimestampMs
    request: str


class LifeAsked(Wire, frozen=True):
    """A provider's call, put together of what is stored. Times are commits: what owed it, its first and last event.

    `uncertain`: members of `request` that aren't kept: absent here, or may have been otherwise.
    `says`: the answer's events, in order. `status` failed: no answer came, and what is said is the gateway's.
    """

    run_id: Id
    provider_id: Id
    kind: Literal["invoke", "interact"]
    event_id: Id
    asked_at: TimestampMs
    status: Literal["owed", "answered", "failed", "cancelled"]
    request: Any
    uncertain: list[str]
    says: list[Any]
    first_at: TimestampMs | None = None
    answered_at: TimestampMs | None = None
    attempt: Int64 | None = None


class Life(Wire, frozen=True):
    """A message's whole life. `others`: traces that went on with its runs. `streams`: why no entry is shown."""

    schema_version: SchemaVersion
    event_id: Id
    session_id: Id
    trace_id: Id
    now: TimestampMs
    events: list[LifeEvent]
    runs: list[LifeRun]
    calls: list[LifeCall]
    asked: list[LifeAsked]
    others: list[str]
    streams: str | None = None


class OutboxRow(Wire, frozen=True, omit_defaults=True):
    """`kind` absent: an event that an operator or a drill injected."""

    id: Int64
    event_id: Id
    session_id: Id
    status: State
    attempts: Int64
    max_attempts: Int64
    last_error: str | None = None
    created_at: TimestampMs | None = None
    next_retry_at: TimestampMs | None = None
    delivered_at: TimestampMs | None = None
    consumed_at: TimestampMs | None = None
    kind: str | None = None
    seq: Int64 | None = None
    trace_id: str | None = None


class Paused(Wire, frozen=True):
    since: TimestampMs
    by: str | None = None
    reason: str | None = None


class OutboxList(Wire, frozen=True):
    """`before`: of the next page; absent on the last. `paused` absent: delivery runs."""

    schema_version: SchemaVersion
    events: list[OutboxRow]
    before: Int64 | None = None
    paused: Paused | None = None


class OutboxEvent(Wire, frozen=True):
    """`details`: all columns of its row, by their names in `outbox show --json`. `payload`: masked."""

    schema_version: SchemaVersion
    details: JsonObject
    replays: list[Replay]
    payload: Any = None


class ReplayAsked(Wire, frozen=True):
    """Which dead letters, all filters together. `replay_token`: repeated, it moves nothing twice."""

    schema_version: SchemaVersion
    note: str = ""
    event_id: Id | None = None
    session_id: Id | None = None
    error: str | None = None
    older_than_seconds: Int64 | None = None
    limit: Int64 = 100
    dry_run: bool = True
    reset_attempts: bool = True
    replay_token: Id | None = None


class ReplayDone(Wire, frozen=True):
    """`events`: the first hundred of those that fit."""

    schema_version: SchemaVersion
    replay_token: Id
    dry_run: bool
    selected: Int64
    inserted: Int64
    updated: Int64
    events: list[Id]


class Reasoned(Wire, frozen=True):
    """Why: kept with the act."""

    schema_version: SchemaVersion
    note: str


class DeliveryControl(Wire, frozen=True):
    schema_version: SchemaVersion
    paused: Paused | None = None


class ActSeen(Wire, frozen=True):
    id: Int64
    at: TimestampMs
    who: str
    via: str
    act: str
    target: JsonObject
    note: str
    outcome: JsonObject


class Acts(Wire, frozen=True):
    schema_version: SchemaVersion
    acts: list[ActSeen]
    before: Int64 | None = None
