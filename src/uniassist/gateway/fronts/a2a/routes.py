"""`/a2a` by JSON-RPC, and the agent card: a message is an input, its first run's id the task's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import Channel, RunCancellation, UnifiedUserInput
from uniassist.contracts.streaming import DeltaFrame
from uniassist.errors import InvalidRequest, RateLimited, Unavailable, UniAssistError
from uniassist.gateway.bounds.bounds import Bounds, give_back
from uniassist.gateway.callers import APPS, Callers, Shown
from uniassist.gateway.fronts.a2a import faults
from uniassist.gateway.fronts.a2a.card import card
from uniassist.gateway.fronts.a2a.faults import Fault, fault_of, refused
from uniassist.gateway.fronts.a2a.reading import content, frame, params_of, read
from uniassist.gateway.fronts.a2a.shapes import (
    EXAMPLE,
    VERSION,
    AgentCard,
    ListParams,
    Message,
    RpcAnswer,
    RpcRefused,
    RpcRequest,
    SendParams,
    State,
    StreamResponse,
    Task,
    TaskList,
    TaskParams,
)
from uniassist.gateway.fronts.a2a.tasks import Progress
from uniassist.gateway.fronts.entrance import Entrance
from uniassist.gateway.fronts.following import Following, Stopped
from uniassist.gateway.fronts.sealing import digest
from uniassist.gateway.fronts.traced import UNDER_WAY
from uniassist.gateway.intake import Intake
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns.ids import new_id, now_ms
from uniassist.gateway.turns.turn import Idempotency
from uniassist.store import fronts as store
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.auth.app_tokens import AppToken
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, Refusing, serves
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT

LONGEST_WAIT_SECONDS = 600.0  # for a task whose message didn't ask to return at once
_REFUSING = Refusing(RpcRefused, refused)
_VERSION = Parameter("A2A-Version", "header", "1.0, which is also what none means.")
_LAST_EVENT_ID = Parameter(
    "Last-Event-ID",
    "header",
    "With SubscribeToTask: the id of the last event that came.",
    schema={"type": "string"},
)
_PROTO = Parameter("X-Forwarded-Proto", "header", "https behind a proxy that ends TLS.")
_TAGS = ("a2a",)


@dataclass(frozen=True)
class _Asker:
    """Who asks. `user_id`: the token's; where apps need none, one for each credential that is shown."""

    token: AppToken | None
    user_id: str

    @property
    def subject(self) -> str | None:
        return self.token.subject if self.token is not None else None

    @property
    def until(self) -> float | None:
        """By the loop's time."""
        if self.token is None:
            return None
        return asyncio.get_running_loop().time() + self.token.expires_at - time.time()


class A2aRoutes:
    """`secret`: seals the names of contexts that clients don't name; the same for all instances."""

    def __init__(
        self,
        *,
        pool: Pool,
        entrance: Entrance,
        intake: Intake,
        following: Following,
        registry: ProviderRegistry,
        callers: Callers,
        bounds: Bounds,
        metrics: GatewayMetrics,
        secret: str,
        version: str,
        asks_for_token: bool,
    ) -> None:
        self._pool = pool
        self._entrance = entrance
        self._intake = intake
        self._following = following
        self._registry = registry
        self._callers = callers
        self._bounds = bounds
        self._metrics = metrics
        self._secret = secret
        self._version = version
        self._asks_for_token = asks_for_token

    @serves(
        Operation(
            "GET",
            "/.well-known/agent-card.json",
            "A2A's agent card: who can help here, as skills",
            AgentCard,
            parameters=(_PROTO,),
            tags=_TAGS,
        )
    )
    async def agent_card(self, request: Request) -> Response:
        proto = requests.header(request, _PROTO.name, max_length=64)
        base = request.base_url.replace(scheme="https") if proto == "https" else request.base_url
        found = card(self._registry.catalogue, f"{base}a2a", self._version, asks_for_token=self._asks_for_token)
        return json_response(found, headers={"Vary": "Host, X-Forwarded-Proto"})

    @serves(
        Operation(
            "POST",
            "/a2a",
            "A2A by JSON-RPC: SendMessage, SendStreamingMessage, GetTask, ListTasks, CancelTask, SubscribeToTask",
            RpcAnswer,
            request=RpcRequest,
            request_example=EXAMPLE,
            parameters=(_VERSION, _LAST_EVENT_ID, TRACEPARENT),
            security=APPS,
            problems=(RateLimited, Unavailable),
            tags=_TAGS,
            description="What is wrong with a request itself is answered 200, as JSON-RPC has it "
            "(`docs/fronts-a2a.md`).",
            refusing=_REFUSING,
            also=(Content("text/event-stream", description="Of the two methods that stream"),),
        )
    )
    async def a2a(self, request: Request) -> Response:
        token = await self._callers.app(request)
        shown = requests.bearer_token(request) or ""
        asker = _Asker(token, token.user_id if token is not None else f"a2a-{digest([shown], self._secret)}")
        body = await read_body(request)
        asked = read(body)
        try:
            if requests.header(request, _VERSION.name, max_length=64) not in (None, "", VERSION):
                raise Fault(faults.NO_VERSION, f"{_VERSION.name}: expected {VERSION}")
            return await self._answer(request, asker, asked, len(body))
        except UniAssistError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            return json_response(RpcRefused("2.0", asked.id, fault_of(error)))

    async def _answer(self, request: Request, asker: _Asker, asked: RpcRequest, size: int) -> Response:
        match asked.method:
            case "SendMessage":
                return await self._send(request, asker, asked, size)
            case "SendStreamingMessage":
                return await self._send_streaming(request, asker, asked, size)
            case "SubscribeToTask":
                return await self._subscribe(request, asker, asked)
            case "GetTask":
                params = params_of(asked, TaskParams)
                progress = await self._task(asker, params.id)
                state = await self._state(progress)
                return _answered(asked, progress.task(state, history=params.history_length))
            case "ListTasks":
                return _answered(asked, await self._list(asker, params_of(asked, ListParams)))
            case "CancelTask":
                return _answered(asked, await self._cancel(request, asker, params_of(asked, TaskParams)))
            case name if "PushNotificationConfig" in name:
                raise Fault(faults.NO_PUSH, "method: push notifications aren't sent; subscribe to the task")
            case "GetExtendedAgentCard":
                raise Fault(faults.UNSUPPORTED, "method: there is no extended card")
        raise Fault(faults.NO_METHOD, f"method: {asked.method[:64]!r} is none of A2A {VERSION}'s")

    async def _send(self, request: Request, asker: _Asker, asked: RpcRequest, size: int) -> Response:
        params = params_of(asked, SendParams)
        configuration = params.configuration
        session_id = self._session_of(params.message, asker)
        places = await self._bounds.stream_place(request, session_id, subject=asker.subject)
        try:
            progress = await self._written(request, asker, params.message, session_id, size)
            if configuration is None or not configuration.return_immediately:
                await self._over(request, asker, progress)
        finally:
            give_back(places)
        history = configuration.history_length if configuration is not None else None
        task = progress.task(await self._state(progress), history=history)
        return _answered(asked, StreamResponse(task=task))

    async def _over(self, request: Request, asker: _Asker, progress: Progress) -> None:
        """Follow the task until it is over. Unavailable where that takes too long."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                answer = self._following.answer(progress.following(), subject=asker.subject, until=asker.until)
                async with aclosing(answer) as items:
                    async for item in items:
                        if item is None:
                            if await request.is_disconnected():
                                raise Stopped
                        elif not isinstance(item, DeltaFrame):
                            progress.take(item)
        except (Stopped, TimeoutError):
            raise Unavailable(f"the task goes on: get {progress.run_id}, or send the message again") from None

    async def _send_streaming(self, request: Request, asker: _Asker, asked: RpcRequest, size: int) -> Response:
        params = params_of(asked, SendParams)
        session_id = self._session_of(params.message, asker)
        places = await self._bounds.stream_place(request, session_id, subject=asker.subject)
        try:
            progress = await self._written(request, asker, params.message, session_id, size)
            first = frame(asked, StreamResponse(task=progress.task(await self._state(progress))), progress.last_seq)
            frames, kept, places = self._frames(asked, asker, progress, [first]), places, []
            return PlacedStream(frames, places=kept)
        finally:
            give_back(places)

    async def _subscribe(self, request: Request, asker: _Asker, asked: RpcRequest) -> Response:
        """From the id that the client had on; without one, from the task as it is."""
        params = params_of(asked, TaskParams)
        last = requests.header(request, _LAST_EVENT_ID.name, max_length=64)
        row = await self._known(asker, params.id)
        events = await store.traced_events(self._pool, row.session_id, row.trace_id)
        progress, first = Progress(row.session_id, row.trace_id), list[bytes]()
        cursor = requests.integer(_LAST_EVENT_ID.name, last) if last else None
        for event in events:
            said = progress.take(event)
            if cursor is not None and event.seq > cursor and said is not None:
                first.append(frame(asked, said, event.seq))
        state = await self._state(progress)
        if cursor is None:
            if state != "TASK_STATE_WORKING":
                raise Fault(faults.UNSUPPORTED, f"id: the task is over ({state}); get it")
            first.append(frame(asked, StreamResponse(task=progress.task(state)), progress.last_seq))
        places = await self._bounds.stream_place(request, row.session_id, subject=asker.subject)
        return PlacedStream(self._frames(asked, asker, progress, first), places=places)

    async def _frames(
        self, asked: RpcRequest, asker: _Asker, progress: Progress, first: list[bytes]
    ) -> AsyncIterator[bytes]:
        """`first`: what came before that which is followed. An event has its seq as its id, once."""
        self._metrics.streams.inc()
        try:
            for each in first:
                yield each
            answer = self._following.answer(progress.following(), subject=asker.subject, until=asker.until)
            async with aclosing(answer) as items:
                async for item in items:
                    if item is None:
                        yield b": still here\n\n"
                    elif isinstance(item, DeltaFrame):
                        yield frame(asked, progress.piece(item))
                    elif (said := progress.take(item)) is not None:
                        yield frame(asked, said, item.seq)
            yield frame(asked, progress.ended(await self._state(progress)), progress.last_seq)
        except Stopped:
            return  # without an end: the client subscribes again
        finally:
            self._metrics.streams.dec()

    def _session_of(self, message: Message, asker: _Asker) -> str:
        if message.context_id:
            if len(message.context_id) > 256 or "\0" in message.context_id:
                raise InvalidRequest("message.contextId: expected at most 256 characters")
            return message.context_id
        return f"a2a-{digest([asker.user_id, message.message_id, message.task_id or ''], self._secret)}"

    async def _written(
        self, request: Request, asker: _Asker, message: Message, session_id: str, size: int
    ) -> Progress:
        """The message's task, once it is written; the same for a message that is sent again."""
        text, attachments = content(message)
        of_task = await self._known(asker, message.task_id) if message.task_id else None
        if of_task is not None and message.context_id not in (None, "", of_task.session_id):
            raise InvalidRequest("message.contextId: expected that of the task")
        parts = [asker.subject or asker.user_id, message.context_id or "", message.message_id]
        written = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=of_task.trace_id if of_task is not None else digest(parts, self._secret),
            user_id=asker.user_id,
            session_id=of_task.session_id if of_task is not None else session_id,
            source="api",
            timestamp_ms=now_ms(),
            channel=Channel(id="a2a", message_id=message.message_id),
            text=text,
            attachments=attachments or None,
        )
        requested = await self._entrance.ask(
            request,
            asker.token,
            written,
            idempotency=Idempotency(f"a2a:{asker.subject or asker.user_id}", f"message:{':'.join(parts[1:])}"),
            size_bytes=size,
            answers=of_task is not None,
            goes_on=of_task is not None,
        )
        return await self._progress(requested.session_id, written.trace_id)

    async def _known(self, asker: _Asker, task_id: str) -> store.Request:
        found = await store.request_of(self._pool, task_id, asker.user_id, subject=asker.subject)
        if found is None:
            raise Fault(faults.NO_TASK, "id: no such task")
        return found

    async def _task(self, asker: _Asker, task_id: str) -> Progress:
        found = await self._known(asker, task_id)
        return await self._progress(found.session_id, found.trace_id)

    async def _progress(self, session_id: str, trace_id: str) -> Progress:
        progress = Progress(session_id, trace_id)
        for event in await store.traced_events(self._pool, session_id, trace_id):
            progress.take(event)
        return progress

    async def _state(self, progress: Progress) -> State:
        run_id = progress.interacts_with
        return progress.state(is_owed=run_id is not None and await store.owes_calls(self._pool, run_id))

    async def _list(self, asker: _Asker, params: ListParams) -> TaskList:
        rows = await store.requests(
            self._pool,
            asker.user_id,
            subject=asker.subject,
            session_id=params.context_id or None,
            before=params.page_token or None,
            limit=params.page_size,
        )
        tasks = list[Task]()
        for row in rows:
            progress = await self._progress(row.session_id, row.trace_id)
            state = await self._state(progress)
            if params.status in (None, "", "TASK_STATE_UNSPECIFIED", state):
                tasks.append(
                    progress.task(state, history=params.history_length, with_artifacts=params.include_artifacts)
                )
        more = rows[-1].run_id if len(rows) == params.page_size else ""
        return TaskList(tasks=tasks, next_page_token=more, page_size=params.page_size, total_size=len(tasks))

    async def _cancel(self, request: Request, asker: _Asker, params: TaskParams) -> Task:
        progress = await self._task(asker, params.id)
        under_way = [run_id for run_id, status in progress.runs.items() if status in UNDER_WAY]
        if not under_way:
            raise Fault(faults.NOT_CANCELABLE, "id: the task is over, or waits for its person")
        writer = self._callers.writer(Shown(token=asker.token), None, asker.user_id)
        cancellation = RunCancellation(
            schema_version=SCHEMA_VERSION,
            trace_id=new_id(),
            session_id=progress.session_id,
            user_id=asker.user_id,
            timestamp_ms=now_ms(),
        )
        for run_id in under_way:
            await self._intake.cancel(request, writer, cancellation, run_id)
        ended = await self._progress(progress.session_id, progress.trace_id)
        return ended.task(await self._state(ended), history=params.history_length)


def _answered(asked: RpcRequest, result: Any) -> Response:
    return json_response(RpcAnswer("2.0", asked.id, result))
