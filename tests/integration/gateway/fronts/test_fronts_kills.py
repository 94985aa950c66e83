"""Gateways killed in the middle of streamed runs, clients of every front that drop at random: each event once.

Eight kills; UNIASSIST_FRONT_KILLS=20 for more. Behind are a provider of ours and an A2A agent, whose own log says
that it got each message once.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import httpx
import openai
import pytest
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
from tests.integration.gateway.client import GatewayClient, Json, interactions, unique
from tests.integration.gateway.fronts.agui_screen import Screen, again, run, run_of
from tests.integration.gateway.fronts.conftest import when_fronted
from tests.processes import ServiceProcess
from tests.scripted_agents import ScriptedAgents
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

KILLS = int(os.environ.get("UNIASSIST_FRONT_KILLS", "8"))
IN_A_ROUND = 4  # a call is tried five times
SAID = ["first", "halfwhole", "last"]
SCRIPTS = {
    "calm": "m:first d:a:half wait e:a:halfwhole m:last end",
    "rpc": "A:x:first a:y:half wait A:y:whole done:last",
}
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
    """Drops at random, and goes on at another gateway, until it has seen the end."""
    while True:  # ends: with the run, or the test's deadline
        try:
            async with asyncio.timeout(random.uniform(0.3, 2.0)):
                if await reader.read(random.choice(urls)):
                    return
        except GONE:
            reader.drops += 1
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(60 + 25 * KILLS)
async def test_each_client_sees_each_durable_event_once_whoever_dies(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    streams: StreamingProvider,
    agents: ScriptedAgents,
    http: JsonClient,
) -> None:
    processes = [service("gateway", **fronts_env) for _ in range(2)]
    for process in processes:
        await when_fronted(http, process.url)

    def asked(text: str) -> list[Json]:
        return [call for call in streams.calls if call["input"]["text"] == text]

    urls, killed = [process.url for process in processes], 0
    while killed < KILLS:
        streams.let_go.clear()
        agents.hold()
        readers: list[Reading] = []
        for provider, script in SCRIPTS.items():
            for kind in (OpenAiReader, A2aReader, AgUiReader):
                readers.append(kind(f"{provider} {unique('story')} {script}"))
        reading = [asyncio.create_task(reads(reader, urls)) for reader in readers]
        for reader in readers:
            got = partial(asked if reader.text.startswith("calm") else agents.messages, reader.text)
            await eventually(got, "their runs are under way", 60)
        for _ in range(min(IN_A_ROUND, KILLS - killed)):
            victim = processes[killed % 2]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            await when_fronted(http, victim.url)
            killed += 1
        streams.let_go.set()
        agents.let_go()
        await asyncio.wait_for(asyncio.gather(*reading), 120)
        for reader in readers:
            reader.check()
            await check_timeline(GatewayClient(http, urls[0]), reader, agents)
        assert sum(reader.drops for reader in readers) >= len(readers)
        again = [streams.attempts[call["run"]["runId"]] for reader in readers for call in asked(reader.text)]
        assert max(again) > 1, "the kills met some that were under way"


async def check_timeline(gateway: GatewayClient, reader: Reading, agents: ScriptedAgents) -> None:
    events: list[Json] = await gateway.timeline(reader.session_id)
    assert [each["text"] for each in interactions(events)] == SAID
    ends = [each["payload"]["status"] for each in events if each["kind"] == "provider_run"]
    assert ends == ["pending", "completed"], "the run ended once"
    if reader.text.startswith("rpc"):
        assert len(agents.messages(reader.text)) == 1, "the agent got it once"
