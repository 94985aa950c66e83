"""An A2A client that drops at random, and does what the SDK offers to take its task up again; and what it saw."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import httpx
from a2a.client import Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_artifact_text
from a2a.types.a2a_pb2 import (
    Artifact,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import A2AError, InvalidParamsError, TaskNotFoundError, UnsupportedOperationError
from tests.integration.gateway.client import unique

SEQ = "uniassist/seq"
OVER = (TaskState.TASK_STATE_COMPLETED, TaskState.TASK_STATE_FAILED)
GONE = (A2AError, httpx.HTTPError, TimeoutError, OSError)


@dataclass
class FollowingClient:
    """`resumes`: subscribes from the last event that it has, which only ours can.

    `whole`: how often each artifact's end came. `shown`: their texts as they came, in pieces or with the task.
    `ended`: how often the end came. `state`: that it ended with, None where the task is lost.
    """

    text: str
    resumes: bool
    message_id: str = field(default_factory=lambda: unique("followed"))
    task_id: str = ""
    last: int = 0
    drops: int = 0
    sent: int = 0
    whole: Counter[str] = field(default_factory=Counter)
    shown: dict[str, str] = field(default_factory=dict)
    ended: int = 0
    state: TaskState | None = None

    async def follow(self, urls: Callable[[], Sequence[str]]) -> None:
        """Until the task is over, or nobody knows it any more."""
        while True:  # ends: with the task, or the test's deadline
            try:
                async with httpx.AsyncClient(timeout=60) as http:  # it drops what is connected
                    client = await ClientFactory(ClientConfig(httpx_client=http)).create_from_url(
                        random.choice(urls())
                    )
                    async with asyncio.timeout(random.uniform(0.3, 2.0)):
                        if await self._read(client):
                            return
            except TaskNotFoundError:
                return
            except GONE:
                self.drops += 1
            await asyncio.sleep(0.05)

    async def _read(self, client: Client) -> bool:
        """Whether it is over."""
        if not self.task_id:
            self.sent += 1
            message = Message(
                message_id=self.message_id,
                context_id=self.message_id,
                role=Role.ROLE_USER,
                parts=[Part(text=self.text)],
            )
            await self._take_all(client.send_message(SendMessageRequest(message=message)))
        elif self.resumes:
            context = ClientCallContext(service_parameters={"Last-Event-ID": str(self.last)})
            await self._take_all(client.subscribe(SubscribeToTaskRequest(id=self.task_id), context=context))
        else:
            self._know(await client.get_task(GetTaskRequest(id=self.task_id)))
            if self.state is None:
                try:
                    await self._take_all(client.subscribe(SubscribeToTaskRequest(id=self.task_id)))
                except (UnsupportedOperationError, InvalidParamsError):  # it is over meanwhile
                    self._know(await client.get_task(GetTaskRequest(id=self.task_id)))
        return self.state is not None

    async def _take_all(self, answers: AsyncIterator[StreamResponse]) -> None:
        """To the end of the task, or of the stream."""
        async for each in answers:
            self._take(each)
            if self.state is not None:
                return

    def _take(self, each: StreamResponse) -> None:
        if each.HasField("task"):
            self._know(each.task)
        elif each.HasField("artifact_update"):
            update = each.artifact_update
            self._show(update.artifact, append=update.append)
            if update.last_chunk:
                self.whole[update.artifact.artifact_id] += 1
                self._had(update.metadata)
        elif each.HasField("status_update"):
            self._had(each.status_update.metadata)
            self._ends(each.status_update.status.state)

    def _know(self, task: Task) -> None:
        self.task_id = task.id
        self._had(task.metadata)
        for artifact in task.artifacts:
            self._show(artifact, append=False)
        self._ends(task.status.state)

    def _had(self, metadata: object) -> None:
        if self.resumes and SEQ in metadata:  # type: ignore[operator]
            self.last = int(metadata[SEQ])  # type: ignore[index]

    def _show(self, artifact: Artifact, *, append: bool) -> None:
        key = artifact.artifact_id
        self.shown[key] = (self.shown.get(key, "") if append else "") + get_artifact_text(artifact, "")

    def _ends(self, state: TaskState) -> None:
        if state in OVER:
            self.state, self.ended = state, self.ended + 1
