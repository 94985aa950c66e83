"""Agents made with the A2A SDK's own server, as a process; what they do is written into the person's text.

    python -m tests.a2a_agent PORT FOLDER

Under /rpc (JSON-RPC), /rest (HTTP+JSON), /plain (which doesn't stream), /old (0.3), /secret (which wants a token),
/kept (which has its tasks in FOLDER/tasks, and goes on with them when it is started again), /pushes (a2a_pushing).
A text is words; each word is one act, in order:

    say:TEXT   a message, and no task       a:ID:TEXT   a piece of the artifact ID     A:ID:TEXT   its last piece
    data:JSON  an artifact of data          url:URL     one of a file                  raw:TEXT    within the answer
    work:TEXT  a status with words          ask:TEXT    input-required, and the end    auth:TEXT   auth-required
    form:TEXT  input-required, with a JSON Schema; what is filled in is an artifact, and the end
    fail:TEXT, reject:TEXT, done, done:TEXT the end                                    wait        for FOLDER/go
    tell:N     an artifact of N words, a while apart
    dies-unheard  /kept dies once, when it has the message and before it says anything

`_` stands for a blank. FOLDER/log has a line of JSON for each message and each cancellation that they got; /kept
writes it once it has the message, so that it says what was sent to it whenever it is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from a2a.helpers.proto_helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    HTTPAuthSecurityScheme,
    Part,
    Role,
    SecurityRequirement,
    SecurityScheme,
    StringList,
    Task,
    TaskState,
)
from google.protobuf import json_format, struct_pb2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.a2a_kept import FORM, Done, KeptTasks, asked_last, is_wake_up, plain, said_in
from tests.a2a_pushing import Cuts, pushing

SECRET = "secret-of-the-scripted-agent"


class Executor(AgentExecutor):
    def __init__(self, folder: Path, kept: KeptTasks | None = None) -> None:
        self._folder = folder
        self._kept = kept

    def _log(self, **said: Any) -> None:
        with (self._folder / "log").open("a", encoding="utf-8") as log:
            log.write(json.dumps(said) + "\n")

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message = context.message
        assert message is not None
        if is_wake_up(message):
            assert context.current_task is not None
            await self._go_on(context.current_task, event_queue)
            return
        text = said_in(message)
        got = {
            "messageId": message.message_id,
            "taskId": context.task_id,
            "contextId": context.context_id,
            "text": text,
            "parts": [json_format.MessageToDict(part) for part in message.parts],
        }
        if self._kept is None:
            self._log(**got)
        acts = text.split()
        words = [act.partition(":") for act in acts]
        if (said := next((rest for name, _, rest in words if name == "say"), None)) is not None:
            await event_queue.enqueue_event(
                new_text_message(plain(said), context_id=context.context_id, role=Role.ROLE_AGENT)
            )
            return
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.update_status(TaskState.TASK_STATE_WORKING)
        if self._kept is not None:
            await self._kept.has(task.id, message.message_id)
            self._log(**got)
        await self._all(updater, words, Done())

    async def _go_on(self, task: Task, event_queue: EventQueue) -> None:
        """From where it was when it was killed."""
        self._log(wokeUp=task.id)
        words = [act.partition(":") for act in asked_last(task).split()]
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.update_status(TaskState.TASK_STATE_WORKING)
        await self._all(updater, words, Done(task))

    async def _all(self, updater: TaskUpdater, words: Sequence[tuple[str, str, str]], done: Done) -> None:
        for number, (name, _, rest) in enumerate(words):
            if not done.has(name, rest, number) and await self._act(updater, name, rest, done, number):
                return
        await updater.complete()

    async def _act(self, updater: TaskUpdater, name: str, rest: str, done: Done, number: int) -> bool:
        """True: it was the last."""
        message = new_text_message(plain(rest), role=Role.ROLE_AGENT) if rest else None
        ends = {
            "done": TaskState.TASK_STATE_COMPLETED,
            "ask": TaskState.TASK_STATE_INPUT_REQUIRED,
            "form": TaskState.TASK_STATE_INPUT_REQUIRED,
            "auth": TaskState.TASK_STATE_AUTH_REQUIRED,
            "fail": TaskState.TASK_STATE_FAILED,
            "reject": TaskState.TASK_STATE_REJECTED,
        }
        if name == "form":
            assert message is not None
            message.parts.append(Part(data=FORM))
        if name in ends:
            await updater.update_status(ends[name], message=message)
            return True
        if name in ("a", "A"):
            artifact_id, _, text = rest.partition(":")
            await updater.add_artifact(
                [Part(text=plain(text))],
                artifact_id=artifact_id,
                append=artifact_id in done.begun,
                last_chunk=name == "A",
            )
            done.begun.add(artifact_id)
        elif name == "data":
            value = struct_pb2.Value()
            json_format.ParseDict(json.loads(rest), value)
            await updater.add_artifact([Part(data=value)], artifact_id=f"data-{number}", name="figures")
        elif name == "url":
            part = Part(url=rest, media_type="application/pdf", filename="file.pdf")
            await updater.add_artifact([part], artifact_id=f"url-{number}", last_chunk=True)
        elif name == "raw":
            part = Part(raw=rest.encode(), media_type="text/csv", filename="table.csv")
            await updater.add_artifact([part], artifact_id=f"raw-{number}", last_chunk=True)
        elif name == "tell":
            for word in range(done.words, int(rest)):
                is_last = word == int(rest) - 1
                part = Part(text=f"{word} ")
                await updater.add_artifact([part], artifact_id="told", append=word > 0, last_chunk=is_last)
                await asyncio.sleep(0.05)
        elif name == "work":
            await updater.update_status(TaskState.TASK_STATE_WORKING, message=message)
        elif name == "wait":
            while not (self._folder / "go").exists():
                await asyncio.sleep(0.02)
        return False

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self._log(cancelled=context.task_id)
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


class Guarded:
    """Takes calls with the bearer token only; its card is for anybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._wanted = f"Bearer {SECRET}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "well-known" not in scope["path"]:
            shown = dict(scope["headers"]).get(b"authorization")
            if shown != self._wanted:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


def card_of(name: str, url: str) -> AgentCard:
    card = AgentCard(
        name=f"Scripted {name}",
        description="Does what is written.",
        version="1",
        supported_interfaces=[
            AgentInterface(
                url=url if name == "rest" else f"{url}/call",
                protocol_binding="HTTP+JSON" if name == "rest" else "JSONRPC",
                protocol_version="0.3" if name == "old" else "1.0",
            )
        ],
        capabilities=AgentCapabilities(streaming=name != "plain"),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="act", name="Act", description="Acts.", tags=["test"])],
    )
    if name == "secret":
        scheme = SecurityScheme(http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="Bearer"))
        card.security_schemes["bearer"].CopyFrom(scheme)
        card.security_requirements.append(SecurityRequirement(schemes={"bearer": StringList()}))
    return card


def handler_of(card: AgentCard, folder: Path, kept: KeptTasks | None = None) -> DefaultRequestHandler:
    store = kept if kept is not None else InMemoryTaskStore()
    return DefaultRequestHandler(agent_executor=Executor(folder, kept), task_store=store, agent_card=card)


def mounted(name: str, root: str, folder: Path) -> Mount:
    card = card_of(name, f"{root}/{name}")
    handler = handler_of(card, folder)
    return Mount(
        f"/{name}",
        routes=routes_of(name, handler, card),
        middleware=[Middleware(Guarded)] if name == "secret" else [],
    )


def routes_of(name: str, handler: DefaultRequestHandler, card: AgentCard) -> list[BaseRoute]:
    routes: list[BaseRoute] = [*create_agent_card_routes(card)]
    if name == "rest":
        routes += create_rest_routes(handler)
    else:
        routes += create_jsonrpc_routes(handler, "/call", enable_v0_3_compat=name == "old")
    return routes


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    root = f"http://127.0.0.1:{port}"
    kept, card = KeptTasks(folder / "tasks"), card_of("kept", f"{root}/kept")
    asyncio.run(kept.read())
    keeps = handler_of(card, folder, kept)
    mounts = [mounted(name, root, folder) for name in ("rpc", "rest", "plain", "old", "secret")]
    pushes = card_of("pushes", f"{root}/pushes")
    routes, cuts = routes_of("pushes", pushing(pushes, Executor(folder)), pushes), Middleware(Cuts, folder=folder)
    mounts.append(Mount("/pushes", routes=routes, middleware=[cuts]))
    mounts.append(Mount("/kept", routes=routes_of("kept", keeps, card)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        waking = asyncio.create_task(kept.wake_up(keeps))
        yield
        waking.cancel()

    app = Starlette(routes=mounts, lifespan=lifespan)
    app.router.redirect_slashes = False
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
