"""adapter-wechat: pushes a second answered with a reply, at an instant gateway, beside a bare server's `success`.

The gateway of this stage answers at once and writes what the person is told straight into Postgres, so that every
push is read, noted, handed over, claimed and answered with text as in a real system.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.stage import Stage, cpu_ms, percentile
from uniassist.devstack.server import ServerProcess, free_port
from uniassist.wechat_simulator.sealing import sign

TOKEN = "bench-token-0123456789"
RATE = 500
PEOPLE = 2000
CONNECTIONS = 64
MEASURED = ("adapter", "postgres", "redis")  # the rest is the bench itself, on the same cores

_WRITE = """
WITH asked AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS a (session_id, user_id, trace_id)
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY session_id) AS nth FROM asked
), session AS (
    INSERT INTO sessions AS s (session_id, user_id, signed, seq)
    SELECT session_id, min(user_id), true, count(*) FROM asked GROUP BY session_id
    ON CONFLICT (session_id) DO UPDATE SET seq = s.seq + EXCLUDED.seq RETURNING session_id, seq
)
INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)
SELECT 'e-' || n.trace_id, n.trace_id, n.session_id, n.user_id,
       s.seq - count(*) OVER (PARTITION BY n.session_id) + n.nth, 0, 'interaction',
       '{"event": {"type": "assistant_message", "text": "好的，已经帮你记下了。"}, "source": "fallback"}'
FROM numbered n JOIN session s USING (session_id)
"""


async def measure(stage: Stage, *, seconds: int) -> dict[str, Any]:
    """The bare server and the adapter in turn, as fast as they can; then the adapter at a steady rate."""
    _, bare_url = _program(stage, "bare", "bare")
    bare = await asyncio.to_thread(load, Load(bare_url, CONNECTIONS, seconds))
    stage.stop_services()
    adapter_url, pids = _adapter(stage)
    await asyncio.to_thread(load, Load(adapter_url, 8, 2))  # warm
    before = {name: cpu_ms(pid) for name, pid in pids.items()}
    full = await asyncio.to_thread(load, Load(adapter_url, CONNECTIONS, seconds))
    used = {name: cpu_ms(pid) - before[name] for name, pid in pids.items()} | {"load": full.cpu_ms}
    steady = (await asyncio.to_thread(load, Load(adapter_url, 256, seconds, RATE))).latencies_ms
    stage.stop_services()
    each = {name: spent / len(full.latencies_ms) for name, spent in used.items()}
    return {
        "connections": CONNECTIONS,
        "per_second": round(full.per_second),
        "full_p99_ms": round(percentile(full.latencies_ms, 0.99), 1),
        "cpu_ms": {name: round(spent, 3) for name, spent in each.items()},
        "measured_cpu_ms": round(sum(each[name] for name in MEASURED), 3),
        "bare_per_second": round(bare.per_second),
        "ratio_to_bare": round(full.per_second / bare.per_second, 2),
        "steady_rate": RATE,
        "steady_answered_per_second": round(len(steady) / seconds),
        "steady_p50_ms": round(percentile(steady, 0.5), 1),
        "steady_p99_ms": round(percentile(steady, 0.99), 1),
    }


def _adapter(stage: Stage) -> tuple[str, dict[str, int | None]]:
    """Its URL, and whose CPU counts, by name."""
    database_url = stage.fresh_database("wechat")
    gateway, gateway_url = _program(stage, "instant-gateway", "gateway", database_url)
    adapter, url = stage.start(
        "adapter-wechat", database_url, GATEWAY_URL=gateway_url, WECHAT_TOKEN=TOKEN, WECHAT_JSON_ENTRANCE="false"
    )
    return url, {
        "adapter": adapter.pid,
        "postgres": stage.postgres.process.pid,
        "redis": stage.redis.process.pid,
        "instant_gateway": gateway.pid,
    }


def _program(stage: Stage, name: str, *arguments: str) -> tuple[ServerProcess, str]:
    port = free_port()
    process = ServerProcess(name, stage.directory / f"{name}-{port}.log")
    command = [sys.executable, "-m", "bench.wechat", str(port), *arguments]
    process.spawn(command, env=stage.inherited | {"PYTHONPATH": str(Path(__file__).parents[1])})
    process.wait_ready(lambda: _accepts(port))
    stage.keep(process)
    return process, f"http://127.0.0.1:{port}"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Load:
    """As fast as it can, or `rate` pushes a second in all, each a new message of one of PEOPLE."""

    url: str
    connections: int
    seconds: int
    rate: int | None = None


@dataclass(frozen=True)
class Answered:
    """`latencies_ms`: of each push, from when it was due. `cpu_ms`: of the load itself."""

    per_second: float
    latencies_ms: list[float]
    cpu_ms: float


def load(asked: Load) -> Answered:
    """From a process of its own."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    process = context.Process(target=_load_process, args=(asked, out))
    process.start()
    answer: Answered = out.get(timeout=asked.seconds + 60)
    process.join(10)
    return answer


def _load_process(asked: Load, out: Any) -> None:
    import uvloop

    out.put(uvloop.run(_run_load(asked)))


async def _run_load(asked: Load) -> Answered:
    host, port = asked.url.removeprefix("http://").split(":")
    latencies: list[float] = []
    began, began_cpu = time.monotonic(), time.process_time()
    end = began + asked.seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        turn = 0
        while time.monotonic() < end:
            due = time.monotonic()
            if asked.rate is not None:
                due = began + (turn * asked.connections + number) / asked.rate
                if due >= end:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            serial = turn * asked.connections + number
            writer.write(_push(f"o-{serial % PEOPLE}", f"{int(began)}{serial:07}"))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200") or (body != b"success" and "已经帮你".encode() not in body):
                raise RuntimeError(f"{head.decode()} {body.decode()}")
            latencies.append((time.monotonic() - due) * 1000)
            turn += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(asked.connections)))
    used = (time.process_time() - began_cpu) * 1000
    return Answered(len(latencies) / (time.monotonic() - began), latencies, used)


def _push(openid: str, message_id: str) -> bytes:
    now = str(int(time.time()))
    body = (
        f"<xml><ToUserName><![CDATA[gh]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[帮我记一下周末要买的东西]]></Content><MsgId>{message_id}</MsgId></xml>"
    ).encode()
    query = f"signature={sign(TOKEN, now, message_id)}&timestamp={now}&nonce={message_id}"
    head = f"POST /wechat/webhook?{query} HTTP/1.1\r\nhost: x\r\ncontent-type: text/xml\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class _InstantGateway:
    """Writes in groups what came together; the acknowledgement is the smallest that the contract allows."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        connection = await asyncpg.connect(self._database_url)
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            taken, self._waiting = self._waiting, []
            columns = [[each[0][name] for each in taken] for name in ("sessionId", "userId", "traceId")]
            await connection.execute(_WRITE, *columns)
            for _, written in taken:
                written.set_result(None)

    async def answer(self, path: bytes, body: bytes) -> bytes:
        if not path.startswith(b"/v0/ingest"):
            return b'{"ok":true,"schemaVersion":"v0","accepted":100,"rejected":0}'
        message = json.loads(body)
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((message, written))
        self._arrived.set()
        await written
        shared = {
            name: message[name] for name in ("schemaVersion", "traceId", "sessionId", "userId", "timestampMs")
        }
        routing = {"candidates": [], "requiresUserConfirmation": False, "fallback": "builtin_chat"}
        return json.dumps(
            {
                **shared,
                "routing": {**{name: shared[name] for name in shared if name != "userId"}, **routing},
                "runs": [{"providerId": "builtin_chat", "runId": f"r-{message['traceId']}", "mode": "sync"}],
                "ackEvents": [],
                "stream": {"type": "sse", "href": "/v0/stream", "cursor": 0},
            }
        ).encode()


class _Connection:
    """The least HTTP that both ends of this benchmark speak."""

    def __init__(self, answer: Callable[[bytes, bytes], Any]) -> None:
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                said = await self._answer(head.split(b" ", 2)[1], body)
                kind = b"content-type: application/json\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (kind, len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def _serve_gateway(port: int, database_url: str) -> None:
    gateway = _InstantGateway(database_url)
    writing = asyncio.create_task(gateway.run())
    server = await asyncio.start_server(_Connection(gateway.answer).serve, "127.0.0.1", port)
    async with server:
        await writing


def _serve_bare(port: int) -> None:
    """What any server here costs: Starlette on uvicorn, as the adapter, that reads the body and says success."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def push(request: Request) -> Response:
        await request.body()
        return Response(b"success", media_type="text/plain")

    app = Starlette(routes=[Route("/wechat/webhook", push, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    import uvloop

    if sys.argv[2] == "bare":
        _serve_bare(int(sys.argv[1]))
    else:
        uvloop.run(_serve_gateway(int(sys.argv[1]), sys.argv[3]))
