"""A message while it is written: the frames of a provider's streamed answer, and what readers get of them."""

from __future__ import annotations

from typing import Literal

from uniassist.contracts.base import Id, Int64, SchemaVersion, Wire
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import ExpectsReply, StaysOpen

EVENT_STREAM = "text/event-stream"
JSON_OR_STREAM = f"application/json, {EVENT_STREAM}"


class StreamDelta(Wire, tag_field="type", tag="delta", kw_only=True, frozen=True):
    """The next piece of a message. `message_id`: the provider's, unique within the run."""

    message_id: Id
    text: str


class StreamEvent(Wire, tag_field="type", tag="event", kw_only=True, frozen=True):
    """A whole event. An assistant_message with the `messageId` of deltas is that message, finished."""

    event: InteractionEvent


class StreamEnd(Wire, tag_field="type", tag="end", kw_only=True, frozen=True):
    """The answer is complete. Messages that only deltas were sent of are finished with it, as they are.

    `passes`: as an InvokeResponse's; what was streamed stays.
    """

    expects_reply: ExpectsReply | None = None
    stays_open: StaysOpen | None = None
    passes: bool | None = None


StreamFrame = StreamDelta | StreamEvent | StreamEnd


class DeltaFrame(Wire, kw_only=True, frozen=True):
    """The `data` of an SSE event named `delta` on /v0/stream; it has no id.

    `offset`: in characters (Unicode code points) from the message's beginning; 0 begins the message anew.
    """

    schema_version: SchemaVersion
    type: Literal["delta"]
    session_id: Id
    run_id: Id
    message_id: Id
    offset: Int64
    text: str
