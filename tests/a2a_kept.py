"""What lets a scripted agent be killed: its tasks on disk, and how far it had come with each."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from pathlib import Path

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskStore
from a2a.types.a2a_pb2 import (
    ListTasksRequest,
    ListTasksResponse,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    Task,
    TaskState,
)
from google.protobuf import json_format, struct_pb2

WAKES_UP = "wakes-up-"
FORM = json_format.ParseDict(
    {
        "type": "object",
        "title": "Trip",
        "properties": {
            "day": {"type": "string", "title": "Day"},
            "seats": {"type": "integer", "title": "Seats", "minimum": 1},
        },
        "required": ["day"],
    },
    struct_pb2.Value(),
)


class KeptTasks(TaskStore):
    """Each task is a file; what is asked for comes from the SDK's own store in memory, filled from them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks = InMemoryTaskStore(owner_resolver=lambda _: "all")
        self._unfinished: list[Task] = []

    async def save(self, task: Task, context: ServerCallContext) -> None:
        path = self._folder / task.id
        written = path.with_suffix(f".{uuid.uuid4().hex}")
        written.write_bytes(task.SerializeToString())
        written.rename(path)
        if "dies-unheard" in asked_last(task) and not (died := self._folder.parent / "died").exists():
            died.touch()
            os._exit(9)
        await self._tasks.save(task, context)

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        return await self._tasks.get(task_id, context)

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        return await self._tasks.list(params, context)

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        (self._folder / task_id).unlink(missing_ok=True)
        await self._tasks.delete(task_id, context)

    async def has(self, task_id: str, message_id: str) -> None:
        """Returns when the message is on disk."""
        while True:  # ends: the SDK's consumer writes it
            task = await self.get(task_id, ServerCallContext())
            if task is not None and any(each.message_id == message_id for each in task.history):
                return
            await asyncio.sleep(0.005)

    async def read(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for name in os.listdir(self._folder):
            path = self._folder / name
            if path.suffix:  # half written
                path.unlink()
                continue
            task = Task.FromString(path.read_bytes())
            await self._tasks.save(task, ServerCallContext())
            if task.status.state in (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING):
                self._unfinished.append(task)

    async def wake_up(self, handler: DefaultRequestHandler) -> None:
        """The agent goes on with what it was killed at: the SDK has no call for that, so it tells itself to."""
        for task in self._unfinished:
            message = Message(
                message_id=f"{WAKES_UP}{uuid.uuid4().hex}",
                task_id=task.id,
                context_id=task.context_id,
                role=Role.ROLE_USER,
                parts=[Part(text="go on")],
            )
            configuration = SendMessageConfiguration(return_immediately=True)
            request = SendMessageRequest(message=message, configuration=configuration)
            await handler.on_message_send(request, ServerCallContext())


def is_wake_up(message: Message) -> bool:
    return message.message_id.startswith(WAKES_UP)


def asked_last(task: Task) -> str:
    """The person's last text."""
    said = [each for each in task.history if each.role == Role.ROLE_USER and not is_wake_up(each)]
    return said_in(said[-1])


def said_in(message: Message) -> str:
    """Its text; of what was filled in, the acts that answer it."""
    text = "".join(part.text for part in message.parts)
    data = [json_format.MessageToDict(part.data) for part in message.parts if part.HasField("data")]
    return text or f"A:values:{json.dumps(data[0], separators=(',', ':'), sort_keys=True)} done:Thanks"


def plain(text: str) -> str:
    return text.replace("_", " ")


class Done:
    """How far the acts of a text are done, as a task shows it. None: they begin.

    `begun`: ids of artifacts that have a piece. `words`: of what `tell` tells.
    """

    def __init__(self, task: Task | None = None) -> None:
        artifacts = task.artifacts if task is not None else []
        self._texts = {each.artifact_id: "".join(part.text for part in each.parts) for each in artifacts}
        self._asked = dict[str, str]()
        self.begun = set(self._texts)
        self.words = len(self._texts.get("told", "").split())

    def has(self, name: str, rest: str, number: int) -> bool:
        if name in ("a", "A"):
            artifact_id, _, text = rest.partition(":")
            self._asked[artifact_id] = self._asked.get(artifact_id, "") + plain(text)
            return self._texts.get(artifact_id, "").startswith(self._asked[artifact_id])
        return f"{name}-{number}" in self._texts
