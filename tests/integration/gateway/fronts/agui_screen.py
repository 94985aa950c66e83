"""A client of AG-UI: what it shows, over all its connections, read with the protocol's own types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
from ag_ui.core import Event, EventType, Message, RunAgentInput, UserMessage
from ag_ui.core.events import (
    ActivitySnapshotEvent,
    MessagesSnapshotEvent,
    RunFinishedEvent,
    StateDeltaEvent,
    StepFinishedEvent,
    StepStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from pydantic import TypeAdapter
from tests.integration.gateway.client import unique

EVENTS: TypeAdapter[Any] = TypeAdapter(Event)


def position(event_id: str) -> tuple[int, int]:
    """An id as something that can be compared."""
    seq, _, part = event_id.partition(".")
    return int(seq), int(part or 0)


@dataclass
class Screen:
    """What a client shows, over all its connections. `ids`: of its events; `until`: after so many it hangs up."""

    events: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    until: int | None = None

    @property
    def last_id(self) -> str:
        return self.ids[-1]

    @property
    def texts(self) -> dict[str, str]:
        """What assistants said, by message."""
        return {each["id"]: each["content"] for each in self.messages if each["role"] == "assistant"}

    @property
    def durable(self) -> list[str]:
        """The ids that complete an event of the timeline."""
        return [each for each in self.ids if "." not in each]

    @property
    def finished(self) -> RunFinishedEvent:
        assert isinstance(self.events[-1], RunFinishedEvent), self.events[-1]
        assert not self.open, "every message that began has ended"
        assert not self.steps, "and every step"
        return self.events[-1]

    @property
    def is_full(self) -> bool:
        return self.until is not None and len(self.events) >= self.until

    def begin(self) -> None:
        self.open.clear()
        self.steps.clear()
        self._is_first = True

    def take(self, data: str, event_id: str | None) -> None:
        event = EVENTS.validate_json(data)
        assert event.model_extra in (None, {}), "nothing that the protocol doesn't know"
        assert (event.type == EventType.RUN_STARTED) is self._is_first, "a stream begins with its run"
        self._is_first = False
        assert event_id is not None, "every event has an id"
        assert not self.ids or position(event_id) > position(self.ids[-1]), "and they grow"
        self.events.append(event)
        self.ids.append(event_id)
        match event:
            case TextMessageStartEvent():
                assert event.message_id not in self.open
                assert self._at(event.message_id) is None, "a message is told once"
                self.open.add(event.message_id)
                self.messages.append({"id": event.message_id, "role": "assistant", "content": ""})
            case TextMessageContentEvent():
                assert event.message_id in self.open
                self._of(event.message_id)["content"] += event.delta
            case TextMessageEndEvent():
                self.open.remove(event.message_id)
                self.ended.append(event.message_id)
            case ActivitySnapshotEvent():
                told = {"id": event.message_id, "role": "activity", "activityType": event.activity_type}
                self._put(told | {"content": event.content})
            case ToolCallStartEvent():
                assert event.parent_message_id is not None
                if self._at(event.parent_message_id) is None:
                    self.messages.append({"id": event.parent_message_id, "role": "assistant", "content": ""})
                call = {"id": event.tool_call_id, "name": event.tool_call_name, "arguments": ""}
                self._of(event.parent_message_id).setdefault("calls", []).append(call)
            case ToolCallArgsEvent():
                self._call(event.tool_call_id)["arguments"] += event.delta
            case ToolCallResultEvent():
                owner = next(
                    each for each in self.messages if self._call(event.tool_call_id) in each.get("calls", [])
                )
                at = self.messages.index(owner) + 1
                while at < len(self.messages) and self.messages[at]["role"] == "tool":
                    at += 1
                self.messages.insert(at, {"id": event.message_id, "role": "tool", "content": event.content})
            case StateDeltaEvent():
                for patch in event.model_dump(mode="json")["delta"]:
                    self._patch(patch)
            case StepStartedEvent():
                assert event.step_name not in self.steps
                self.steps.add(event.step_name)
            case StepFinishedEvent():
                self.steps.remove(event.step_name)
            case MessagesSnapshotEvent():
                stand = [_shown(each) for each in event.messages]
                by_id = {each["id"]: each for each in stand}
                self.messages = [by_id.pop(each["id"]) for each in self.messages if each["id"] in by_id]
                self.messages += [each for each in stand if each["id"] in by_id]

    def _at(self, message_id: str) -> dict[str, Any] | None:
        return next((each for each in self.messages if each["id"] == message_id), None)

    def _of(self, message_id: str) -> dict[str, Any]:
        found = self._at(message_id)
        assert found is not None, message_id
        return found

    def _put(self, message: dict[str, Any]) -> None:
        found = self._at(message["id"])
        if found is None:
            self.messages.append(message)
        else:
            found.update(message)

    def _call(self, call_id: str) -> dict[str, Any]:
        return next(call for each in self.messages for call in each.get("calls", []) if call["id"] == call_id)

    def _patch(self, patch: dict[str, Any]) -> None:
        assert patch["op"] == "add"
        *path, last = patch["path"].split("/")[1:]
        at = self.state
        for name in path:
            at = at[name]
        at[last] = patch["value"]


def _shown(message: Any) -> dict[str, Any]:
    found = {"id": message.id, "role": message.role, "content": message.content or ""}
    if message.role == "activity":
        found["activityType"] = message.activity_type
    if getattr(message, "tool_calls", None):
        found["calls"] = [
            {"id": each.id, "name": each.function.name, "arguments": each.function.arguments}
            for each in message.tool_calls
        ]
    return found


async def read(screen: Screen, response: httpx.Response) -> None:
    assert response.status_code == 200, await response.aread()
    screen.begin()
    event_id: str | None = None
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "data":
            screen.take(value, event_id)
            event_id = None
            if screen.is_full:
                return


def run_of(thread_id: str, run_id: str, text: str = "", **more: Any) -> dict[str, Any]:
    messages: list[Message] = [UserMessage(id=unique("m"), content=text)] if text else []
    asked = RunAgentInput(thread_id=thread_id, run_id=run_id, messages=messages, **more)
    return asked.model_dump(by_alias=True, mode="json")


async def run(client: httpx.AsyncClient, url: str, body: dict[str, Any], screen: Screen | None = None) -> Screen:
    screen = screen or Screen()
    for each in body["messages"]:  # what the person writes, a client shows by itself
        if all(shown["id"] != each["id"] for shown in screen.messages):
            screen.messages.append({"id": each["id"], "role": "user", "content": each["content"]})
    async with client.stream("POST", f"{url}/ag-ui", json=body) as response:
        await read(screen, response)
    return screen


async def again(
    client: httpx.AsyncClient, url: str, thread_id: str, run_id: str | None, screen: Screen, last: str | None = None
) -> Screen:
    query = {"threadId": thread_id} | ({} if run_id is None else {"runId": run_id})
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", f"{url}/ag-ui", params=query, headers=headers) as response:
        await read(screen, response)
    return screen
