"""A client of AG-UI: what it shows, over all its connections, read with the protocol's own types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
from ag_ui.core import Event, EventType, Message, RunAgentInput, UserMessage
from ag_ui.core.events import (
    MessagesSnapshotEvent,
    RunFinishedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
)
from pydantic import TypeAdapter
from tests.integration.gateway.client import unique

EVENTS: TypeAdapter[Any] = TypeAdapter(Event)


@dataclass
class Screen:
    """What a client shows, over all its connections. `last_id`: where it goes on."""

    events: list[Any] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)

    @property
    def last_id(self) -> int:
        return self.ids[-1]

    @property
    def finished(self) -> RunFinishedEvent:
        assert isinstance(self.events[-1], RunFinishedEvent), self.events[-1]
        assert not self.open, "every message that began has ended"
        return self.events[-1]

    def begin(self) -> None:
        self.open.clear()
        self._is_first = True

    def take(self, data: str, event_id: str | None) -> None:
        event = EVENTS.validate_json(data)
        assert (event.type == EventType.RUN_STARTED) is self._is_first, "a stream begins with its run"
        self._is_first = False
        self.events.append(event)
        if event_id is not None:
            self.ids.append(int(event_id))
        match event:
            case TextMessageStartEvent():
                assert event.message_id not in self.open
                self.open.add(event.message_id)
                self.texts[event.message_id] = ""
            case TextMessageContentEvent():
                assert event.message_id in self.open
                self.texts[event.message_id] += event.delta
            case TextMessageEndEvent():
                self.open.remove(event.message_id)
                self.ended.append(event.message_id)
            case MessagesSnapshotEvent():
                kept = {each.id: each.content for each in event.messages if each.role == "assistant"}
                self.texts = {message_id: text or "" for message_id, text in kept.items()}


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


def run_of(thread_id: str, run_id: str, text: str = "", **more: Any) -> dict[str, Any]:
    messages: list[Message] = [UserMessage(id=unique("m"), content=text)] if text else []
    asked = RunAgentInput(thread_id=thread_id, run_id=run_id, messages=messages, **more)
    return asked.model_dump(by_alias=True, mode="json")


async def run(client: httpx.AsyncClient, url: str, body: dict[str, Any], screen: Screen | None = None) -> Screen:
    screen = screen or Screen()
    async with client.stream("POST", f"{url}/ag-ui", json=body) as response:
        await read(screen, response)
    return screen


async def again(
    client: httpx.AsyncClient, url: str, thread_id: str, run_id: str | None, screen: Screen, last: int | None = None
) -> Screen:
    query = {"threadId": thread_id} | ({} if run_id is None else {"runId": run_id})
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with client.stream("GET", f"{url}/ag-ui", params=query, headers=headers) as response:
        await read(screen, response)
    return screen
