"""The timeline as AG-UI 1.0's events. Pure.

A message that is being written is a text message that has begun; its durable event ends it. Where it began anew,
the same words are passed over; with other words that text message ends and another begins, since AG-UI takes
nothing back within a stream. One that is taken up again begins with the messages as they stand.
"""

from __future__ import annotations

from typing import Any

from uniassist.contracts import codec
from uniassist.contracts.interaction import InteractionEvent, ProviderExtension
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.agui import naming
from uniassist.gateway.fronts.agui.board import RunBoard
from uniassist.gateway.fronts.agui.naming import Event
from uniassist.gateway.fronts.asking import text_of
from uniassist.gateway.fronts.following import run_status
from uniassist.gateway.fronts.traced import Standing, Traced

VERSION = "1.0"
_ENDED = ("completed", "failed", "cancelled")
_OVER = (*_ENDED, "running")  # running: it goes on by itself, and has said what it has to say


class Telling:
    """One run, told to one reader. `run_id`: the client's own name of it."""

    def __init__(self, thread_id: str, run_id: str, traced: Traced) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self.traced = traced
        self._board = RunBoard()
        self._open: dict[str, tuple[str, str]] = {}  # a message → its name in this stream, and what was told of it
        self._anew: dict[str, str] = {}  # a message that began anew, and isn't yet as far → its text
        self._begun: dict[str, int] = {}
        self._steps: dict[str, str] = {}  # runs under way → their steps
        self._spoken: dict[str, str] = {}  # a run → its newest message
        self._calls: set[str] = set()  # runs that answer a call, and haven't yet

    def started(self) -> Event:
        named = {"threadId": self._thread_id, "runId": self._run_id}
        return {"type": "RUN_STARTED", **named, "protocolVersion": VERSION}

    def standing(self) -> list[Event]:
        """How things stand, for a reader who comes now: the runs, and the steps that are under way."""
        steps = [{"type": "STEP_STARTED", "stepName": step} for step in self._steps.values()]
        return [self._board.whole(), *steps]

    def piece(self, delta: DeltaFrame) -> list[Event]:
        key = f"{delta.run_id}:{delta.message_id}"
        name, told = self._open.get(key, ("", ""))
        if name and key not in self._anew and delta.offset == len(told):
            self._open[key] = (name, told + delta.text)
            return [_content(name, delta.text)]
        heard = self._anew.pop(key, told)[: delta.offset] + delta.text
        if name and told.startswith(heard):
            self._anew[key] = heard
            return []
        events = list[Event]()
        if not name or not heard.startswith(told):
            events, told = [*self._close(key), self._begin(key)], ""
        name, _ = self._open[key]
        self._open[key] = (name, heard)
        return [*events, _content(name, heard[len(told) :])] if heard[len(told) :] else events

    def event(self, event: TimelineEvent) -> list[Event]:
        """The next durable event."""
        said, events = self.traced.note(event), list[Event]()
        if event.kind == "provider_run" and event.run_id is not None:
            events = self._run(event.run_id, event.provider_id or "", run_status(event))
        elif said is not None:
            events = [*self._text(event, said), *naming.activities(event, said)]
        elif (found := naming.handed_over(event)) is not None:
            over, arguments = found
            events = self._call(over.by_run_id, over.run_id, arguments)
        changed = self._board.take(event, said)
        return events if changed is None else [*events, self._board.changed(changed)]

    def passed_over(self, event: TimelineEvent) -> None:
        """One that the reader has."""
        self.event(event)
        self._open.clear()
        self._anew.clear()

    def ended(self, standing: Standing) -> list[Event]:
        events = [each for key in list(self._open) for each in self._close(key)]
        events += [self._result(run_id, "running") for run_id in sorted(self._calls)]
        events += [{"type": "STEP_FINISHED", "stepName": step} for step in self._steps.values()]
        self._steps.clear()
        self._calls.clear()
        named = {"threadId": self._thread_id, "runId": self._run_id}
        if standing == "failed":
            return [*events, {"type": "RUN_ERROR", "message": "Nobody could finish this.", "code": "failed"}]
        outcome: Event = {"type": "cancelled" if standing == "cancelled" else "success"}
        if standing == "asks":
            outcome = interrupted(self.traced.asked)
        return [*events, {"type": "RUN_FINISHED", **named, "outcome": outcome}]

    def _text(self, event: TimelineEvent, said: InteractionEvent) -> list[Event]:
        text, key = text_of(said), naming.message_id(event, said)
        if not text or naming.is_progress(said):
            return []
        self._spoken[event.run_id or ""] = key
        self._anew.pop(key, None)
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

    def _run(self, run_id: str, provider_id: str, status: str) -> list[Event]:
        step, events = f"{provider_id}:{run_id}", list[Event]()
        if run_id not in self._steps and (status not in _ENDED or run_id not in self._begun):
            self._steps[run_id], self._begun[run_id] = step, 1
            events.append({"type": "STEP_STARTED", "stepName": step})
        if status in _OVER and run_id in self._calls:
            self._calls.remove(run_id)
            events.append(self._result(run_id, status))
        if status in _ENDED and self._steps.pop(run_id, None) is not None:
            unfinished = [key for key in self._open if key.startswith(f"{run_id}:")]
            events += [each for key in unfinished for each in self._close(key)]
            events.append({"type": "STEP_FINISHED", "stepName": step})
        return events

    def _call(self, by_run_id: str, run_id: str, arguments: dict[str, Any]) -> list[Event]:
        """The call of a model's one tool, in the message that the model wrote with it."""
        self._calls.add(run_id)
        call_id = naming.tool_call_id(run_id)
        named = {"toolCallId": call_id}
        parent = self._spoken.get(by_run_id, call_id)
        begin = {"type": "TOOL_CALL_START", **named, "toolCallName": naming.HAND_OVER, "parentMessageId": parent}
        delta = codec.encode(arguments).decode()
        return [begin, {"type": "TOOL_CALL_ARGS", **named, "delta": delta}, {"type": "TOOL_CALL_END", **named}]

    def _result(self, run_id: str, status: str) -> Event:
        return {
            "type": "TOOL_CALL_RESULT",
            "messageId": naming.tool_result_id(run_id),
            "toolCallId": naming.tool_call_id(run_id),
            "content": naming.tool_result(status),
            "role": "tool",
        }


def interrupted(asked: list[tuple[TimelineEvent, InteractionEvent]]) -> Event:
    """The outcome of a run that waits for its person."""
    return {"type": "interrupt", "interrupts": [_interrupt(event, said) for event, said in asked]}


def _interrupt(event: TimelineEvent, said: InteractionEvent) -> Event:
    """Its id is the event's; `responseSchema`: of a form's values."""
    found: Event = {"id": event.event_id, "reason": "input_required", "message": text_of(said)}
    if isinstance(said, ProviderExtension) and said.payload.data_schema is not None:
        found["responseSchema"] = said.payload.data_schema
    return found


def _content(name: str, text: str) -> Event:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": text}
