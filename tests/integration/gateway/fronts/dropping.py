"""Clients of each front that drop at random, go on at another gateway, and know what they have seen."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import openai
from a2a.client import ClientCallContext, ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_artifact_text
from a2a.types.a2a_pb2 import (
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.errors import A2AError
from openai import AsyncOpenAI
from tests.integration.gateway.client import unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, run, run_of

SAID = ["first", "halfwhole", "last"]
GONE = (A2AError, httpx.HTTPError, openai.APIError, TimeoutError, OSError)


class Reading(Protocol):
    """A client of a front. `session_id`: where its run stands."""

    session_id: str
    text: str
    drops: int

    async def read(self, url: str) -> bool:
        """Connects, and reads on; True at the end. Whatever breaks or is cut off is one of GONE."""
        ...

    def check(self) -> None: ...


@dataclass
class OpenAiReader:
    text: str
    session_id: str = field(default_factory=lambda: unique("killed"))
    drops: int = 0
    said: str = ""

    async def read(self, url: str) -> bool:
        self.said, finished = "", None
        headers = {"Idempotency-Key": self.session_id, "x-uniassist-session": self.session_id}
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="uniassist",
                messages=[{"role": "user", "content": self.text}],
                stream=True,
                extra_headers=headers,
            )
            async with stream:
                async for chunk in stream:
                    self.said += chunk.choices[0].delta.content or ""
                    finished = chunk.choices[0].finish_reason or finished
        return finished == "stop"

    def check(self) -> None:
        assert self.said.split("\n\n") == SAID


def seq_in(metadata: Any) -> int:
    return int(metadata["uniassist/seq"])


@dataclass
class A2aReader:
    text: str
    session_id: str = field(default_factory=lambda: unique("killed"))
    drops: int = 0
    task_id: str = ""
    last: int = 0
    whole: list[tuple[int, str]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    async def read(self, url: str) -> bool:
        async with httpx.AsyncClient(timeout=60) as http:
            config = ClientConfig(httpx_client=http, streaming=bool(self.task_id))
            client = await ClientFactory(config).create_from_url(url)
            if not self.task_id:
                message = Message(
                    message_id=self.session_id,
                    context_id=self.session_id,
                    role=Role.ROLE_USER,
                    parts=[Part(text=self.text)],
                )
                configuration = SendMessageConfiguration(return_immediately=True)
                request = SendMessageRequest(message=message, configuration=configuration)
                [answer] = [each async for each in client.send_message(request)]
                self.last = seq_in(answer.task.metadata)
                self.whole += [(0, get_artifact_text(each)) for each in answer.task.artifacts]
                self.task_id = answer.task.id
                return False
            context = ClientCallContext(service_parameters={"Last-Event-ID": str(self.last)})
            subscription = client.subscribe(SubscribeToTaskRequest(id=self.task_id), context=context)
            async for each in subscription:
                self._take(each)
        return TaskState.TASK_STATE_COMPLETED in self.ended

    def _take(self, each: StreamResponse) -> None:
        if each.HasField("artifact_update") and each.artifact_update.last_chunk:
            self.last = seq_in(each.artifact_update.metadata)
            self.whole.append((self.last, get_artifact_text(each.artifact_update.artifact)))
        elif each.HasField("status_update"):
            self.ended.append(each.status_update.status.state)

    def check(self) -> None:
        assert [text for _, text in self.whole] == SAID
        assert self.whole == sorted(self.whole, key=lambda each: each[0])


@dataclass
class AgUiReader:
    text: str
    session_id: str = field(default_factory=lambda: unique("killed"))
    drops: int = 0
    screen: Screen = field(default_factory=Screen)

    async def read(self, url: str) -> bool:
        async with httpx.AsyncClient(timeout=60) as client:
            if self.screen.ids:
                await again(client, url, self.session_id, "r1", self.screen, last=self.screen.last_id)
            else:
                await run(client, url, run_of(self.session_id, "r1", self.text), self.screen)
        return bool(self.screen.events) and self.screen.events[-1].type == "RUN_FINISHED"

    def check(self) -> None:
        assert self.screen.finished
        assert list(self.screen.texts.values()) == SAID
        ids = [int(each) for each in self.screen.durable]
        assert ids == sorted(set(ids)), ids


async def reads(reader: Reading, urls: list[str]) -> None:
    """Drops at random, and goes on at another gateway, until it has seen the end.

    With growing patience: on a slow machine nothing is accepted in the time of the first tries.
    """
    while True:  # ends: with the run, or the test's deadline
        try:
            async with asyncio.timeout(random.uniform(0.3, 2.0 + reader.drops / 4)):
                if await reader.read(random.choice(urls)):
                    return
        except GONE:
            reader.drops += 1
            await asyncio.sleep(0.05)
