"""What both bindings of A2A do with a request: the same tasks, told in each one's frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import Channel, RunCancellation, UnifiedUserInput
from uniassist.contracts.streaming import DeltaFrame
from uniassist.errors import InvalidRequest, Unavailable
from uniassist.gateway.bounds.bounds import Bounds, give_back
from uniassist.gateway.callers import Callers, Shown
from uniassist.gateway.fronts.a2a import faults
from uniassist.gateway.fronts.a2a.faults import Fault
from uniassist.gateway.fronts.a2a.reading import content
from uniassist.gateway.fronts.a2a.shapes import (
    VERSION,
    ListParams,
    Message,
    SendParams,
    State,
    StreamResponse,
    Task,
    TaskList,
    TaskParams,
)
from uniassist.gateway.fronts.a2a.tasks import Progress
from uniassist.gateway.fronts.cancelling import cancel_under_way
from uniassist.gateway.fronts.entrance import Entrance, Reply
from uniassist.gateway.fronts.following import Following, Stopped
from uniassist.gateway.fronts.sealing import digest
from uniassist.gateway.intake import Intake
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.placed_stream import PlacedStream
from uniassist.gateway.turns.ids import new_id, now_ms
from uniassist.gateway.turns.turn import Idempotency
from uniassist.store import fronts as store
from uniassist.store.server.pool import Pool
from uniassist.web import requests
from uniassist.web.auth.app_tokens import AppToken
from uniassist.web.operations import Parameter

LONGEST_WAIT_SECONDS = 600.0  # for a task whose message didn't ask to return at once
A2A_VERSION = Parameter(
    "A2A-Version", "header", "1.0, which is also what none means.", schema={"type": "string", "enum": [VERSION, ""]}
)
LAST_EVENT_ID = Parameter(
    "Last-Event-ID",
    "header",
    "With a subscription: the id of the last event that came.",
    schema={"type": "string"},
)
Frame = Callable[[StreamResponse, int | None], bytes]
"""An event of a stream, with the seq that it tells."""


@dataclass(frozen=True)
class Asker:
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


class A2aTasks:
    """`secret`: seals the names of contexts that clients don't name; the same for all instances."""

    def __init__(
        self,
        *,
        pool: Pool,
        entrance: Entrance,
        intake: Intake,
        following: Following,
        callers: Callers,
        bounds: Bounds,
        metrics: GatewayMetrics,
        secret: str,
    ) -> None:
        self._pool = pool
        self._entrance = entrance
        self._intake = intake
        self._following = following
        self._callers = callers
        self._bounds = bounds
        self._metrics = metrics
        self._secret = secret

    async def asker(self, request: Request) -> Asker:
        token = await self._callers.app(request)
        shown = requests.bearer_token(request) or ""
        return Asker(token, token.user_id if token is not None else f"a2a-{digest([shown], self._secret)}")

    async def send(self, request: Request, asker: Asker, params: SendParams, size: int) -> StreamResponse:
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
        return StreamResponse(task=progress.task(await self._state(progress), history=history))

    async def send_streaming(
        self, request: Request, asker: Asker, params: SendParams, size: int, frame: Frame
    ) -> Response:
        session_id = self._session_of(params.message, asker)
        places = await self._bounds.stream_place(request, session_id, subject=asker.subject)
        try:
            progress = await self._written(request, asker, params.message, session_id, size)
            first = frame(StreamResponse(task=progress.task(await self._state(progress))), progress.last_seq)
            frames, kept, places = self._frames(frame, asker, progress, [first]), places, []
            return PlacedStream(frames, places=kept)
        finally:
            give_back(places)

    async def subscribe(self, request: Request, asker: Asker, task_id: str, frame: Frame) -> Response:
        """From the id that the client had on; without one, from the task as it is."""
        last = requests.header(request, LAST_EVENT_ID.name, max_length=64)
        row = await self._known(asker, task_id)
        events = await store.traced_events(self._pool, row.session_id, row.trace_id)
        progress, first = Progress(row.session_id, row.trace_id), list[bytes]()
        cursor = requests.integer(LAST_EVENT_ID.name, last) if last else None
        for event in events:
            said = progress.take(event)
            if cursor is not None and event.seq > cursor and said is not None:
                first.append(frame(said, event.seq))
        state = await self._state(progress)
        if cursor is None:
            if state != "TASK_STATE_WORKING":
                raise Fault(faults.UNSUPPORTED, f"id: the task is over ({state}); get it")
            first.append(frame(StreamResponse(task=progress.task(state)), progress.last_seq))
        places = await self._bounds.stream_place(request, row.session_id, subject=asker.subject)
        return PlacedStream(self._frames(frame, asker, progress, first), places=places)

    async def get(self, asker: Asker, params: TaskParams) -> Task:
        progress = await self._task(asker, params.id)
        return progress.task(await self._state(progress), history=params.history_length)

    async def listed(self, asker: Asker, params: ListParams) -> TaskList:
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

    async def cancel(self, request: Request, asker: Asker, params: TaskParams) -> Task:
        progress = await self._task(asker, params.id)
        writer = self._callers.writer(Shown(token=asker.token), None, asker.user_id)
        cancellation = RunCancellation(
            schema_version=SCHEMA_VERSION,
            trace_id=new_id(),
            session_id=progress.session_id,
            user_id=asker.user_id,
            timestamp_ms=now_ms(),
        )
        if not await cancel_under_way(self._pool, self._intake, request, writer, cancellation, progress):
            raise Fault(faults.NOT_CANCELABLE, "id: the task is over, or waits for its person")
        ended = await self._progress(progress.session_id, progress.trace_id)
        return ended.task(await self._state(ended), history=params.history_length)

    async def _over(self, request: Request, asker: Asker, progress: Progress) -> None:
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

    async def _frames(
        self, frame: Frame, asker: Asker, progress: Progress, first: list[bytes]
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
                        if (piece := progress.piece(item)) is not None:
                            yield frame(piece, None)
                    elif (said := progress.take(item)) is not None:
                        yield frame(said, item.seq)
            yield frame(progress.ended(await self._state(progress)), progress.last_seq)
        except Stopped:
            return  # without an end: the client subscribes again
        finally:
            self._metrics.streams.dec()

    def _session_of(self, message: Message, asker: Asker) -> str:
        if message.context_id:
            if len(message.context_id) > 256 or "\0" in message.context_id:
                raise InvalidRequest("message.contextId: expected at most 256 characters")
            return message.context_id
        return f"a2a-{digest([asker.user_id, message.message_id, message.task_id or ''], self._secret)}"

    async def _written(
        self, request: Request, asker: Asker, message: Message, session_id: str, size: int
    ) -> Progress:
        """The message's task, once it is written; the same for a message that is sent again."""
        text, attachments, data = content(message)
        of_task = await self._known(asker, message.task_id) if message.task_id else None
        if of_task is not None and message.context_id not in (None, "", of_task.session_id):
            raise InvalidRequest("message.contextId: expected that of the task")
        reply = None
        if of_task is not None and data is not None:
            asked = (await self._progress(of_task.session_id, of_task.trace_id)).asked
            reply = Reply(asked[-1][0].event_id, data) if asked else None
        parts = [asker.subject or asker.user_id, message.context_id or "", message.message_id]
        sealed = digest(parts, self._secret)
        # Sealed where two names could be read in two ways; else as earlier releases wrote it.
        key = sealed if ":" in parts[1] else ":".join(parts[1:])
        written = UnifiedUserInput(
            schema_version=SCHEMA_VERSION,
            trace_id=of_task.trace_id if of_task is not None else sealed,
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
            idempotency=Idempotency(f"a2a:{asker.subject or asker.user_id}", f"message:{key}"),
            size_bytes=size,
            answers=of_task is not None,
            reply=reply,
            goes_on=of_task is not None,
        )
        return await self._progress(requested.session_id, written.trace_id)

    async def _known(self, asker: Asker, task_id: str) -> store.Request:
        found = await store.request_of(self._pool, task_id, asker.user_id, subject=asker.subject)
        if found is None:
            raise Fault(faults.NO_TASK, "id: no such task")
        return found

    async def _task(self, asker: Asker, task_id: str) -> Progress:
        found = await self._known(asker, task_id)
        return await self._progress(found.session_id, found.trace_id)

    async def _progress(self, session_id: str, trace_id: str) -> Progress:
        progress = Progress(session_id, trace_id)
        for event in await store.traced_events(self._pool, session_id, trace_id):
            progress.take(event)
        return progress

    async def _state(self, progress: Progress) -> State:
        owed = [run_id for run_id in sorted(progress.interactions) if await store.owes_calls(self._pool, run_id)]
        return progress.state(is_owed=bool(owed))


def check_version(request: Request) -> None:
    if requests.header(request, A2A_VERSION.name, max_length=64) not in (None, "", VERSION):
        raise Fault(faults.NO_VERSION, f"{A2A_VERSION.name}: expected {VERSION}")
