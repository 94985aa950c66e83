"""A small gateway over real HTTP: takes signed inputs and choices, keeps timelines in Postgres and tells the global
stream of them as gateway and worker do, and fails when it is told to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import asyncpg
from aiohttp import web
from redis.asyncio import Redis
from tests.processes import ADAPTER_SECRET, CONTEXT_TOKEN

from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.streams import epoch as epochs
from uniassist.web.auth import signing

JSON = "application/json"

T = TypeVar("T")

_SESSION = "INSERT INTO sessions (session_id, user_id, signed) VALUES ($1, $2, true) ON CONFLICT DO NOTHING"
_EVENT = """
WITH next AS (UPDATE sessions SET seq = seq + 1 WHERE session_id = $2 RETURNING seq)
INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, run_id, provider_id, seq, timestamp_ms, kind,
                             payload)
SELECT $1, $3, $2, $4, $5, $6, seq, 1, $7, $8 FROM next RETURNING seq
"""
_PAGE = "SELECT * FROM timeline_events WHERE session_id = $1 AND seq > $2 ORDER BY seq"


class GatewayDouble:
    """`with GatewayDouble(…) as gateway`: serves from a thread of its own. Texts with 计划 get a run of `plan`."""

    def __init__(self, database_url: str, redis_url: str, stream_prefix: str, port: int = 0) -> None:
        self.port = port
        self.inputs: list[UnifiedUserInput] = []
        self.interactions: list[UserInteraction] = []
        self.reports: list[dict[str, Any]] = []
        self.reset()
        self._database_url = database_url
        self._redis_url = redis_url
        self._global_key = f"{stream_prefix}all"
        self._nonces: set[str] = set()
        self._acks: dict[str, asyncio.Task[bytes]] = {}
        self._numbers = iter(range(1, 1_000_000_000))
        self._under_way: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> GatewayDouble:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Count from nothing, and do everything right."""
        self.tells_stream = True
        self.attempts = 0
        self.refuse_next = 0
        self.refuse_status = 503
        self.provider_seconds = 0.1
        self.drops_answers = 0
        self.is_old = False  # as a gateway was that knows the first form of signatures only
        self.successor: str | None = None
        self.report_seconds = 0.0
        self.refused_trace: str | None = None
        self.answer_events: list[dict[str, Any]] | None = None

    def inputs_of(self, openid: str) -> list[UnifiedUserInput]:
        return [message for message in self.inputs if message.user_id == f"wx:{openid}"]

    def interactions_of(self, openid: str) -> list[UserInteraction]:
        return [choice for choice in self.interactions if choice.user_id == f"wx:{openid}"]

    def reports_of(self, openid: str) -> list[dict[str, Any]]:
        """Each once, as the gateway takes them."""
        found = {each["eventId"]: each for each in self.reports if each["userId"] == f"wx:{openid}"}
        return [each["event"] for each in found.values()]

    def outcomes_of(self, openid: str) -> list[str]:
        return [each["outcome"] for each in self.reports_of(openid)]

    async def say(self, openid: str, *events: dict[str, Any] | str, run: str | None = None) -> list[str]:
        """A provider says something, late; texts are assistant messages. The events' ids."""
        shaped = [{"type": "assistant_message", "text": each} if isinstance(each, str) else each for each in events]
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._say(openid, shaped, run), self._loop)
        )

    def stop(self) -> None:
        if not self._loop.is_closed():
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        self._pool = await asyncpg.create_pool(self._database_url, min_size=1, max_size=4)
        self._redis = Redis.from_url(self._redis_url)
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/v0/ingest", self._ingest)
        app.router.add_post("/v0/interact", self._interact)
        app.router.add_post("/v0/events", self._events)
        app.router.add_get("/v0/timeline", self._timeline)
        app.router.add_get("/health/live", self._live)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._pool.close()
        await self._redis.aclose()

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(body=b'{"ok":true,"service":"gateway"}', content_type=JSON)

    async def _signed_body(self, request: web.Request) -> bytes | web.Response:
        self.attempts += 1
        body = await request.read()
        if self.is_old and signing.VERSION_HEADER in request.headers:
            return web.Response(status=401)
        nonce = _check_signature(request, body)
        if nonce in self._nonces:
            return web.Response(status=401)
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return web.Response(status=self.refuse_status)
        self._nonces.add(nonce)
        return body

    async def _ingest(self, request: web.Request) -> web.StreamResponse:
        body = await self._signed_body(request)
        if isinstance(body, web.Response):
            return body
        message = codec.decode(body, UnifiedUserInput)
        assert message.channel is not None
        assert message.channel.message_id is not None
        key = f"{message.user_id} {message.channel.message_id}"
        if key not in self._acks:
            self.inputs.append(message)
            self._acks[key] = self._loop.create_task(self._accept(message))
        return self._answered(request, await asyncio.shield(self._acks[key]))

    async def _interact(self, request: web.Request) -> web.StreamResponse:
        body = await self._signed_body(request)
        if isinstance(body, web.Response):
            return body
        choice = codec.decode(body, UserInteraction)
        self.interactions.append(choice)
        await self._append(choice.session_id, choice.user_id, choice.trace_id, "user_interaction", choice)
        said = {"type": "assistant_message", "text": f"你选了：{choice.action_id}"}
        self._loop.call_later(self.provider_seconds, self._start_answering, choice, said)
        return self._answered(request, b'{"accepted":true}')

    def _start_answering(self, choice: UserInteraction, said: dict[str, Any]) -> None:
        payload = {"event": said, "source": "provider"}
        self._later(
            self._append(choice.session_id, choice.user_id, choice.trace_id, "interaction", payload, choice.run_id)
        )

    async def _events(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {CONTEXT_TOKEN}"
        asked = json.loads(await request.read())
        assert asked["providerId"] == "adapter-wechat"
        await asyncio.sleep(self.report_seconds)
        if any(each["traceId"] == self.refused_trace for each in asked["events"]):
            return web.Response(status=400)
        self.reports += asked["events"]
        answer = {"schemaVersion": "v0", "accepted": len(asked["events"]), "rejected": 0}
        return web.Response(body=codec.encode(answer), content_type=JSON)

    def _answered(self, request: web.Request, body: bytes) -> web.Response:
        if self.drops_answers > 0 and request.transport is not None:
            self.drops_answers -= 1
            request.transport.abort()
        return web.Response(body=body, content_type=JSON)

    async def _timeline(self, request: web.Request) -> web.Response:
        if self.is_old and signing.VERSION_HEADER in request.headers:
            return web.Response(status=401)
        _check_signature(request, b"")
        cursor = int(request.query["cursor"])
        rows = await self._pool.fetch(_PAGE, request.query["sessionId"], cursor)
        events = [_shown(row) for row in rows]
        page = {"schemaVersion": "v0", "events": events, "nextCursor": events[-1]["seq"] if events else cursor}
        return web.Response(body=codec.encode(page), content_type=JSON)

    async def _accept(self, message: UnifiedUserInput) -> bytes:
        session_id = self.successor or message.session_id
        cursor = (
            await self._append(session_id, message.user_id, message.trace_id, "inbound", {"input": message}) - 1
        )
        planned = "计划" in (message.text or "")
        run = f"run-{self.inputs.index(message) + 1}"
        status = self._run("pending" if planned else "completed")
        await self._append(session_id, message.user_id, message.trace_id, "provider_run", status, run)
        said: dict[str, Any] = (
            {"type": "ack", "message": "收到，正在交给 plan 处理。"}
            if planned
            else {"type": "assistant_message", "text": f"你说：{message.text}"}
        )
        if planned:
            self._loop.call_later(self.provider_seconds, self._start_planning, message, session_id, run)
        else:
            payload = {"event": said, "source": "fallback"}
            await self._append(session_id, message.user_id, message.trace_id, "interaction", payload, run)
        provider = "plan" if planned else "builtin_chat"
        return codec.encode(
            {
                "schemaVersion": "v0",
                "traceId": message.trace_id,
                "sessionId": session_id,
                "userId": message.user_id,
                "routing": {
                    "schemaVersion": "v0",
                    "traceId": message.trace_id,
                    "sessionId": session_id,
                    "candidates": [],
                    "requiresUserConfirmation": False,
                    "fallback": "none" if planned else "builtin_chat",
                    "timestampMs": 1,
                },
                "runs": [{"providerId": provider, "runId": run, "mode": "async" if planned else "sync"}],
                "ackEvents": [said],
                "stream": {
                    "type": "sse",
                    "href": f"/v0/stream?sessionId={quote(session_id, safe='')}&cursor={cursor}",
                    "cursor": cursor,
                },
                "timestampMs": 1,
            }
        )

    def _start_planning(self, message: UnifiedUserInput, session_id: str, run: str) -> None:
        self._later(self._plan(message, session_id, run))

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _plan(self, message: UnifiedUserInput, session_id: str, run: str) -> None:
        for event in self.answer_events or (
            {"type": "ack", "message": "好的，我来帮你制定计划。"},
            {"type": "something_of_a_later_version"},
            {"type": "card", "title": f"关于“{message.text}”", "actions": [{"actionId": "go", "label": "开始"}]},
        ):
            payload = {"event": event, "source": "provider"}
            await self._append(session_id, message.user_id, message.trace_id, "interaction", payload, run)
        await self._append(
            session_id, message.user_id, message.trace_id, "provider_run", self._run("completed"), run
        )

    async def _say(self, openid: str, events: list[dict[str, Any]], run: str | None) -> list[str]:
        session_id, user_id = f"wx-session:{openid}", f"wx:{openid}"
        before = next(self._numbers)
        for event in events:
            payload = {"event": event, "source": "provider"}
            await self._append(session_id, user_id, f"late-{before}", "interaction", payload, run)
        rows = await self._pool.fetch(_PAGE, session_id, 0)
        return [row["event_id"] for row in rows][-len(events) :]

    @staticmethod
    def _run(status: str) -> dict[str, Any]:
        return {"providerId": "plan", "mode": "async", "status": status}

    async def _append(
        self, session_id: str, user_id: str, trace_id: str, kind: str, payload: object, run: str | None = None
    ) -> int:
        event_id = f"event-{next(self._numbers)}-{self.port}"
        provider = "plan" if run is not None else None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SESSION, session_id, user_id)
            written = codec.encode(payload).decode()
            seq: int = await connection.fetchval(
                _EVENT, event_id, session_id, trace_id, user_id, run, provider, kind, written
            )
        if self.tells_stream:
            await epochs.begin(self._redis, self._global_key, group="ua-delivery")
            await self._redis.xadd(self._global_key, {"eventId": event_id, "sessionId": session_id, "seq": seq})
        return seq


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    shown = {
        "schemaVersion": "v0",
        "eventId": row["event_id"],
        "traceId": row["trace_id"],
        "sessionId": row["session_id"],
        "userId": row["user_id"],
        "seq": row["seq"],
        "timestampMs": row["timestamp_ms"],
        "kind": row["kind"],
        "payload": json.loads(row["payload"]),
    }
    return shown | ({"runId": row["run_id"]} if row["run_id"] else {})


def _check_signature(request: web.Request, body: bytes) -> str:
    """The nonce of a request that is signed in the second form."""
    signature = signing.read(request.raw_headers, int(time.time() * 1000))
    signature.check([ADAPTER_SECRET], signing.Target(request.method, request.raw_path.encode()), body)
    return signature.nonce
