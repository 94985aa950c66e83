"""The timeline as AG-UI 1.0's events. Pure.

A message that is being written is a text message that has begun; its durable event ends it. Where it began anew
with other words, that text message ends and another begins, since AG-UI takes nothing back within a stream; one
that is taken up again begins with the messages as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.interaction import (
    AssistantMessage,
    Card,
    Form,
    InteractionEvent,
    ProviderExtension,
    RequestClarification,
)
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import InboundPayload, TimelineEvent
from uniassist.gateway.fronts.asking import text_of
from uniassist.gateway.fronts.following import payload_of, run_status, said_in
from uniassist.gateway.fronts.traced import Standing, Traced

VERSION = "1.0"
Event: TypeAlias = dict[str, Any]
_ENDED = ("completed", "failed", "cancelled")


class Telling:
    """One run, told to one reader. `run_id`: the client's own name of it."""

    def __init__(self, thread_id: str, run_id: str, traced: Traced) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self.traced = traced
        self._open: dict[str, tuple[str, str]] = {}  # a message → its name in this stream, and its text so far
        self._begun: dict[str, int] = {}
        self._steps: dict[str, str] = {}  # runs under way → their steps

    def started(self) -> Event:
        named = {"threadId": self._thread_id, "runId": self._run_id}
        return {"type": "RUN_STARTED", **named, "protocolVersion": VERSION}

    def piece(self, delta: DeltaFrame) -> list[Event]:
        key = f"{delta.run_id}:{delta.message_id}"
        events = list[Event]()
        if key not in self._open or delta.offset == 0:
            events += [*self._close(key), self._begin(key)]
        name, text = self._open[key]
        self._open[key] = (name, text + delta.text)
        return [*events, _content(name, delta.text)]

    def event(self, event: TimelineEvent) -> list[Event]:
        """The next durable event."""
        said = self.traced.note(event)
        if event.kind == "provider_run" and event.run_id is not None:
            return self._step(event.run_id, event.provider_id or "", run_status(event))
        if said is None:
            return []
        return [*self._text(event, said), *activities(event, said)]

    def passed_over(self, event: TimelineEvent) -> None:
        """One that the reader has."""
        self.event(event)
        self._open.clear()

    def reopened(self) -> list[Event]:
        """The steps that are under way, for a reader who comes in the middle."""
        return [{"type": "STEP_STARTED", "stepName": step} for step in self._steps.values()]

    def ended(self, standing: Standing) -> list[Event]:
        events = [each for key in list(self._open) for each in self._close(key)]
        events += [{"type": "STEP_FINISHED", "stepName": step} for step in self._steps.values()]
        self._steps.clear()
        named = {"threadId": self._thread_id, "runId": self._run_id}
        if standing == "failed":
            return [*events, {"type": "RUN_ERROR", "message": "Nobody could finish this.", "code": "failed"}]
        outcome: Event = {"type": "cancelled" if standing == "cancelled" else "success"}
        if standing == "asks":
            interrupts = [_interrupt(event, said) for event, said in self.traced.asked]
            outcome = {"type": "interrupt", "interrupts": interrupts}
        return [*events, {"type": "RUN_FINISHED", **named, "outcome": outcome}]

    def _text(self, event: TimelineEvent, said: InteractionEvent) -> list[Event]:
        text, key = text_of(said), _message_id(event, said)
        if not text or _is_progress(said):
            return []
        events = list[Event]()
        shown = self._open.get(key, ("", ""))[1]
        if key not in self._open or not text.startswith(shown):
            events += [*self._close(key), self._begin(key)]
            shown = ""
        name, _ = self._open[key]
        events += [_content(name, text[len(shown) :])] if text[len(shown) :] else []
        return [*events, *self._close(key)]

    def _begin(self, key: str) -> Event:
        self._begun[key] = times = self._begun.get(key, 0) + 1
        name = key if times == 1 else f"{key}~{times}"
        self._open[key] = (name, "")
        return {"type": "TEXT_MESSAGE_START", "messageId": name, "role": "assistant"}

    def _close(self, key: str) -> list[Event]:
        opened = self._open.pop(key, None)
        return [] if opened is None else [{"type": "TEXT_MESSAGE_END", "messageId": opened[0]}]

    def _step(self, run_id: str, provider_id: str, status: str) -> list[Event]:
        step, events = f"{provider_id}:{run_id}", list[Event]()
        if run_id not in self._steps and (status not in _ENDED or run_id not in self._begun):
            self._steps[run_id], self._begun[run_id] = step, 1
            events.append({"type": "STEP_STARTED", "stepName": step})
        if status in _ENDED and self._steps.pop(run_id, None) is not None:
            unfinished = [key for key in self._open if key.startswith(f"{run_id}:")]
            events += [each for key in unfinished for each in self._close(key)]
            events.append({"type": "STEP_FINISHED", "stepName": step})
        return events


def activities(event: TimelineEvent, said: InteractionEvent) -> list[Event]:
    """What is more than text, as our own event; progress in the place of the progress before."""
    is_data = isinstance(said, Card | Form | RequestClarification | ProviderExtension)
    if not is_data and not (isinstance(said, AssistantMessage) and said.choices):
        return []
    message_id = f"{event.run_id}:progress" if _is_progress(said) else f"{event.event_id}:data"
    kind, content = str(said.__struct_config__.tag), msgspec.to_builtins(said)
    return [
        {
            "type": "ACTIVITY_SNAPSHOT",
            "messageId": message_id,
            "activityType": "progress" if _is_progress(said) else kind,
            "content": content,
            "replace": True,
        }
    ]


def history(events: Iterable[TimelineEvent]) -> Event:
    """The messages that stand on a timeline, under the ids that they have while they come."""
    messages: dict[str, Event] = {}
    for event in events:
        if event.kind == "inbound":
            text = payload_of(event, InboundPayload).input.text or ""
            messages[event.event_id] = {"id": event.event_id, "role": "user", "content": text}
        elif (said := said_in(event)) is not None:
            if (text := text_of(said)) and not _is_progress(said):
                message_id = _message_id(event, said)
                messages[message_id] = {"id": message_id, "role": "assistant", "content": text}
            for each in activities(event, said):
                kept = {"id": each["messageId"], "role": "activity", "activityType": each["activityType"]}
                messages[each["messageId"]] = kept | {"content": each["content"]}
    return {"type": "MESSAGES_SNAPSHOT", "messages": list(messages.values())}


def frames(events: list[Event], seq: int | None = None) -> bytes:
    """`seq`: of the event that they tell, once the last of them is there; None: of a piece, which isn't kept."""
    told = [b"data: %b\n\n" % codec.encode(each) for each in events]
    if told and seq is not None:
        told[-1] = b"id: %d\n%b" % (seq, told[-1])
    return b"".join(told)


def _interrupt(event: TimelineEvent, said: InteractionEvent) -> Event:
    """Its id is the event's; `responseSchema`: of a form's values."""
    found: Event = {"id": event.event_id, "reason": "input_required", "message": text_of(said)}
    if isinstance(said, ProviderExtension) and said.payload.data_schema is not None:
        found["responseSchema"] = said.payload.data_schema
    return found


def _message_id(event: TimelineEvent, said: InteractionEvent) -> str:
    if isinstance(said, AssistantMessage) and said.message_id is not None:
        return f"{event.run_id}:{said.message_id}"
    return event.event_id


def _is_progress(said: InteractionEvent) -> bool:
    return isinstance(said, ProviderExtension) and said.payload.progress is not None


def _content(name: str, text: str) -> Event:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": text}
