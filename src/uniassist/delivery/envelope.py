"""An outbox row as the entry that the streams get. Pure."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TypeVar

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import Envelope, StreamKeys, TimelineEvent
from uniassist.store.delivery import LONGEST_BODY_BYTES, Claimed
from uniassist.streams.append import Entry
from uniassist.streams.lanes import Lane, Layout

MAX_PAYLOAD_BYTES = LONGEST_BODY_BYTES
MAX_KEY_LENGTH = 1024


T = TypeVar("T", bound=msgspec.Struct)


class Undeliverable(Exception):
    """This event can't be put on a stream, now or later."""


class _NamedStream(msgspec.Struct, rename="camel"):
    key: str | None = None
    global_key: str | None = None


class _NamedEvent(msgspec.Struct):
    seq: int | None = None


class Keys:
    """Where events of a lane go. A row may name its streams, as they are called without lanes or with them."""

    def __init__(self, layout: Layout, lane: Lane) -> None:
        self._layout = layout
        self._lane = lane
        self.global_key = lane.global_key

    def session(self, session_id: str) -> str:
        return self._lane.session_key(session_id)

    def named_session(self, key: str | None, session_id: str) -> str:
        """Undeliverable: no key of the lane's."""
        plain = f"{self._layout.prefix}{session_id}"
        return self.session(session_id) if key in (None, plain) else self._of_lane("key", str(key))

    def named_other(self, key: str | None) -> str | None:
        """A further global stream. Undeliverable: no key of the lane's."""
        ours = key in (None, self.global_key, self._layout.global_key)
        return None if ours else self._of_lane("globalKey", str(key))

    def _of_lane(self, name: str, key: str) -> str:
        if not self._lane.has(key):
            raise Undeliverable(
                f"payload.stream.{name}: expected a key with {self._lane.tag} in it, which is the session's lane"
            )
        return key


def entry_of(row: Claimed, keys: Keys) -> Entry:
    """Raises Undeliverable with the reason. Only an event of the gateway's gets its seq as its stream id."""
    if row.body is None and row.body_bytes is not None:
        raise _too_long(row.body_bytes)
    entry = _bare(row, keys) if row.bare else _of_timeline(row, keys)
    if len(entry.payload) > MAX_PAYLOAD_BYTES:
        raise _too_long(len(entry.payload))
    return entry


def _too_long(payload_bytes: int) -> Undeliverable:
    return Undeliverable(f"payload: {payload_bytes} bytes, at most {MAX_PAYLOAD_BYTES} go on a stream")


def _of_timeline(row: Claimed, keys: Keys) -> Entry:
    if row.body is None or row.seq is None or row.timestamp_ms is None or row.kind is None:
        raise Undeliverable("payload: null, and the timeline has no event of this id")
    key = keys.session(row.session_id)
    event = TimelineEvent(
        schema_version=SCHEMA_VERSION,
        event_id=row.event_id,
        trace_id=row.trace_id or "",
        session_id=row.session_id,
        user_id=row.user_id or "",
        provider_id=row.provider_id,
        run_id=row.run_id,
        seq=row.seq,
        timestamp_ms=row.timestamp_ms,
        kind=row.kind,
        extension_kind=row.extension_kind,
        render_schema_ref=row.render_schema_ref,
        payload=msgspec.Raw(row.body.encode()),
    )
    envelope = Envelope(
        schema_version=SCHEMA_VERSION,
        type="timeline_event",
        event=event,
        stream=StreamKeys(key=key, global_key=keys.global_key),
    )
    return Entry(
        stream_key=key,
        event_id=row.event_id,
        session_id=row.session_id,
        payload=codec.encode(envelope),
        seq=row.seq,
        explicit_seq=row.seq,
        replay=row.replay_token or "",
        ce_type=f"uniassist.timeline.{row.kind}",
        ce_time=_rfc3339(row.timestamp_ms),
        traceparent=row.traceparent or "",
    )


def _bare(row: Claimed, keys: Keys) -> Entry:
    """A row that brings its payload: it goes out as it is, to the streams that it names, if it names any."""
    assert row.body is not None, "a payload is JSON, at least null"
    stream, event = _NamedStream(), _NamedEvent()
    parts = _parts(row.body)
    if "stream" in parts:
        stream = _lenient(parts["stream"], _NamedStream)
    if "event" in parts:
        event = _lenient(parts["event"], _NamedEvent)
    for name, key in (("key", stream.key), ("globalKey", stream.global_key)):
        if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
            raise Undeliverable(f"payload.stream.{name}: expected 1 to {MAX_KEY_LENGTH} characters")
    return Entry(
        stream_key=keys.named_session(stream.key, row.session_id),
        event_id=row.event_id,
        session_id=row.session_id,
        payload=row.body.encode(),
        seq=event.seq,
        replay=row.replay_token or "",
        other_global_key=keys.named_other(stream.global_key) or "",
        traceparent=row.traceparent or "",
    )


def _rfc3339(timestamp_ms: int) -> str:
    second = _second(timestamp_ms // 1000)
    return f"{second}.{timestamp_ms % 1000:03}Z" if second else ""


@lru_cache(64)
def _second(timestamp: int) -> str:
    """What events of one second share. Empty for a clock beyond the calendar: the attribute is optional."""
    try:
        return dt.datetime.fromtimestamp(timestamp, dt.UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def _parts(payload: str) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}  # the column holds JSON of any kind; only an object can say where to go


def _lenient(part: msgspec.Raw, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(part, type=shape)
    except msgspec.DecodeError:
        return shape()
