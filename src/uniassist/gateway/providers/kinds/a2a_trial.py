"""An A2A agent tried before it is connected: its card, a hello as a person would say it, and a cancellation."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from a2a.client import ClientCallContext
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    TaskState,
)
from a2a.utils.errors import A2AError

from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import ContextPackage, ContextUser, InvokeRequest, InvokeRun
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a_agents import A2aAgents
from uniassist.gateway.providers.kinds.a2a_cards import Agent, Cards, called
from uniassist.gateway.providers.kinds.a2a_http import new_client
from uniassist.gateway.providers.kinds.kind import Asked
from uniassist.store.remotes import Remote, Remotes

CANCEL_SECONDS = 20.0


@dataclass(frozen=True)
class Card:
    """What an agent says of itself. `words`: tags and names of its skills, once each."""

    name: str
    description: str
    speaks: str
    streams: bool
    words: Sequence[str]


@dataclass
class Heard:
    """What people see of an answer. Is a `Hears`. `pieces`: in how many it came while it was written."""

    events: list[InteractionEvent] = field(default_factory=list)
    pieces: int = 0

    def delta(self, message_id: str, text: str) -> None:
        self.pieces += 1

    async def event(self, event: InteractionEvent) -> None:
        self.events.append(event)


class _Kept(Remotes):
    """For as long as the trial takes."""

    def __init__(self) -> None:
        self._remotes: dict[str, Remote] = {}

    async def of_run(self, run_id: str) -> Remote | None:
        return self._remotes.get(run_id)

    async def of_session(self, session_id: str, provider_id: str) -> Remote | None:
        return None

    async def keep(self, run_id: str, remote: Remote) -> None:
        self._remotes[run_id] = remote

    async def is_cancelled(self, run_id: str) -> bool:
        return False


async def look(provider: Provider) -> Card:
    """CallFailed, with what is wrong with its card."""
    async with new_client() as http:
        agent = await Cards(http).of(provider)
    card, interface = agent.card, agent.interface
    words = [word for skill in card.skills for word in (*skill.tags, skill.name)]
    return Card(
        card.name,
        card.description,
        f"{interface.protocol_binding} {interface.protocol_version} at {interface.url}",
        agent.streams,
        list(dict.fromkeys(word.strip() for word in words if word.strip())),
    )


async def hello(provider: Provider, text: str) -> tuple[Heard, bool]:
    """What it answers, and whether it asks back. CallFailed."""
    agents, heard = A2aAgents(_Kept()), Heard()
    try:
        said = await agents.ask(Asked(provider, "invoke", _request(provider, text)), heard)
    finally:
        await agents.close()
    heard.events += said.events
    return heard, said.expects is not None


async def cancelled(provider: Provider, text: str) -> str:
    """What becomes of a task that is cancelled at once, in words. CallFailed."""
    async with new_client() as http:
        agent = await Cards(http).of(provider)
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                return await _cancelled(agent, text)
        except TimeoutError:
            return f"no answer within {CANCEL_SECONDS:g} seconds"
        except A2AError as error:
            raise called(error, "cancel") from None


async def _cancelled(agent: Agent, text: str) -> str:
    context = ClientCallContext(service_parameters=dict(agent.headers))
    message = Message(message_id=uuid.uuid4().hex, role=Role.ROLE_USER, parts=[Part(text=text)])
    request = SendMessageRequest(
        message=message, configuration=SendMessageConfiguration(return_immediately=not agent.streams)
    )
    task_id = ""
    async for response in agent.client.send_message(request, context=context):
        task_id = response.task.id or response.status_update.task_id or response.artifact_update.task_id
        break
    if not task_id:
        return "it answers without tasks, so there is nothing to cancel"
    try:
        task = await agent.client.cancel_task(CancelTaskRequest(id=task_id), context=context)
    except A2AError as error:
        return f"refused ({called(error, 'cancel')})"
    return "cancelled" if task.status.state == TaskState.TASK_STATE_CANCELED else "it was over before"


def _request(provider: Provider, text: str) -> InvokeRequest:
    run_id = f"trial-{uuid.uuid4().hex}"
    return InvokeRequest(
        schema_version="v0",
        input=UnifiedUserInput(
            schema_version="v0",
            trace_id=run_id,
            user_id="trial",
            session_id=run_id,
            source="app",
            timestamp_ms=0,
            text=text,
        ),
        context=ContextPackage(schema_version="v0", user=ContextUser(user_id="trial", locale="en"), permissions=[]),
        run=InvokeRun(run_id=run_id, provider_id=provider.provider_id, attempt=1, idempotency_key=run_id),
    )
