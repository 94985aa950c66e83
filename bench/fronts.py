"""What a front adds to an ingest, and what readers of AG-UI cost that are held."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.sse import _memory
from bench.stage import Stage, cpu_seconds, percentile

SESSIONS = 2000
RUNS = 250  # under way at once, which the readers share
PAUSE_SECONDS = 30.0  # between two events of a run
RATE = 40
PLAIN = "plain"
FOREVER = 1e6
PROVIDERS = """[[provider]]
id = "plan"
keywords = ["story"]
base_url = "{url}"
concurrency = 1000
"""
Ask = Callable[[aiohttp.ClientSession, str, int], Awaitable[None]]


async def measure(stage: Stage, *, seconds: int, rounds: int) -> dict[str, Any]:
    """Slices of `seconds` of each way of asking in turn, `rounds` times."""
    process, gateway = stage.start("gateway", stage.fresh_database("fronts"), GATEWAY_RATE_LIMIT_PER_USER="0")
    await asyncio.to_thread(_asked, _slice, gateway, PLAIN, 3)  # warm
    spent: dict[str, tuple[float, list[float]]] = {}
    for _ in range(rounds):
        for way in WAYS:
            await asyncio.to_thread(_asked, _slice, gateway, way, 1)
            before = cpu_seconds(process)
            latencies = await asyncio.to_thread(_asked, _slice, gateway, way, seconds)
            cpu, known = spent.get(way, (0.0, []))
            spent[way] = (cpu + cpu_seconds(process) - before, known + latencies)
    stage.stop_services()
    cost = {
        way: {
            "cpu_ms": round(1000 * cpu / len(latencies), 2),
            "p50_ms": round(percentile(latencies, 0.5), 1),
            "p99_ms": round(percentile(latencies, 0.99), 1),
        }
        for way, (cpu, latencies) in spent.items()
    }
    return {"rate": RATE, "slice_seconds": seconds, "rounds": rounds, "cost": cost}


async def hold(stage: Stage, *, readers: int, events: int) -> dict[str, Any]:
    """AG-UI readers that wait for so many events each."""
    context = multiprocessing.get_context("spawn")
    told, go = context.Queue(), context.Event()
    provider = context.Process(target=_provider, args=(events, told, go), daemon=True)
    provider.start()
    file = stage.directory / "fronts.toml"
    file.write_text(PROVIDERS.format(url=await asyncio.to_thread(told.get, True, 30)), "utf-8")
    settings = {"UNIASSIST_PROVIDERS_FILE": str(file), "GATEWAY_RATE_LIMIT_PER_USER": "0"}
    process, gateway = stage.start("gateway", stage.fresh_database("fronts"), **settings)
    assert process.pid is not None
    out: Any = context.Queue()
    reading = context.Process(target=_load, args=(gateway, readers, events, out, go))
    reading.start()
    try:
        await asyncio.to_thread(out.get, True, 300)  # the runs are under way
        before = _memory(process.pid)
        out_opened = await asyncio.to_thread(out.get, True, 300)
        held, cpu, began = _memory(process.pid), cpu_seconds(process), time.monotonic()
        await asyncio.sleep(3)
        idle = (cpu_seconds(process) - cpu) / (time.monotonic() - began)
        cpu, began = cpu_seconds(process), time.monotonic()
        go.set()
        ages, finished = await asyncio.to_thread(out.get, True, events * PAUSE_SECONDS + 240)
        busy = cpu_seconds(process) - cpu
        took, most = time.monotonic() - began, _memory(process.pid)
    finally:
        reading.join(10)
        stage.stop_services()
        provider.terminate()
        provider.join(10)
    return {
        "readers": out_opened,
        "kib_each": round((held - before) / out_opened / 1024, 1),
        "kib_each_after": round((most - before) / out_opened / 1024, 1),
        "idle_cpu_percent": round(100 * idle, 1),
        "busy_cpu_percent": round(100 * busy / took, 1),
        "cpu_ms_each_event": round(1000 * busy / max(1, len(ages)), 2),
        "events_per_second": round(len(ages) / took),
        "events": len(ages),
        "missing": out_opened * events - len(ages),
        "finished": finished,
        "age_p50_ms": round(percentile(ages, 0.5), 1),
        "age_p99_ms": round(percentile(ages, 0.99), 1),
    }


def _asked(what: Callable[..., None], *arguments: Any) -> list[float]:
    """From a process of its own: latencies in ms."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    process = context.Process(target=what, args=(*arguments, out))
    process.start()
    latencies: list[float] = out.get(timeout=120)
    process.join(10)
    return latencies


def _slice(gateway: str, way: str, seconds: int, out: Any) -> None:
    import uvloop

    out.put(uvloop.run(_run_slice(gateway, WAYS[way], seconds)))


async def _run_slice(gateway: str, ask: Ask, seconds: int) -> list[float]:
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as http:
        began = time.monotonic()

        async def one(number: int) -> None:
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            start = time.monotonic()
            await ask(http, gateway, number)
            latencies.append((time.monotonic() - start) * 1000)

        await asyncio.gather(*(one(number) for number in range(RATE * seconds)))
    return latencies


TEXT = "hello " + "x" * 180


def _input(session: str) -> dict[str, Any]:
    named = {"schemaVersion": "v0", "traceId": f"t-{random.getrandbits(64):x}", "userId": f"u-{session}"}
    rest = {"sessionId": session, "source": "app", "timestampMs": int(time.time() * 1000), "text": TEXT}
    return named | rest


async def _plain(http: aiohttp.ClientSession, gateway: str, _number: int) -> None:
    async with http.post(f"{gateway}/v0/ingest", json=_input(f"p{random.randrange(SESSIONS)}")) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()


async def _read(http: aiohttp.ClientSession, gateway: str, _number: int) -> None:
    """As a client of ours does that wants the answer from the timeline."""
    session = f"r{random.randrange(SESSIONS)}"
    async with http.post(f"{gateway}/v0/ingest", json=_input(session)) as answer:
        cursor = (await answer.json())["stream"]["cursor"]
    query = {"sessionId": session, "cursor": str(cursor)}
    async with http.get(f"{gateway}/v0/timeline", params=query) as answer:
        assert (await answer.json())["events"]


async def _openai(http: aiohttp.ClientSession, gateway: str, _number: int, *, stream: bool = False) -> None:
    session = f"o{random.randrange(SESSIONS)}"
    body = {
        "model": "uniassist",
        "messages": [{"role": "user", "content": TEXT}],
        "user": session,
        "stream": stream,
    }
    headers = {"x-uniassist-session": session}
    async with http.post(f"{gateway}/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert b"finish_reason" in await answer.read()


async def _openai_streamed(http: aiohttp.ClientSession, gateway: str, number: int) -> None:
    await _openai(http, gateway, number, stream=True)


async def _agui(http: aiohttp.ClientSession, gateway: str, number: int) -> None:
    async with http.post(f"{gateway}/ag-ui", json=_run_body(f"g{random.randrange(SESSIONS)}", TEXT)) as answer:
        assert answer.status == 200, await answer.text()
        assert b"RUN_FINISHED" in await answer.read()


async def _a2a(http: aiohttp.ClientSession, gateway: str, _number: int) -> None:
    message = {"messageId": f"m-{random.getrandbits(64):x}", "contextId": f"a{random.randrange(SESSIONS)}"}
    message |= {"role": "ROLE_USER", "parts": [{"text": TEXT}]}  # type: ignore[dict-item]
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with http.post(f"{gateway}/a2a", json=body, headers={"A2A-Version": "1.0"}) as answer:
        assert answer.status == 200, await answer.text()
        assert "result" in await answer.json(), await answer.text()


def _run_body(thread_id: str, text: str) -> dict[str, Any]:
    run_id = f"r-{random.getrandbits(64):x}"
    return {"threadId": thread_id, "runId": run_id, "messages": [{"id": "m", "role": "user", "content": text}]}


WAYS: dict[str, Ask] = {
    PLAIN: _plain,
    "plain, then the timeline": _read,
    "OpenAI": _openai,
    "OpenAI, streamed": _openai_streamed,
    "A2A": _a2a,
    "AG-UI": _agui,
}


def _provider(events: int, told: Any, go: Any) -> None:
    """Waits to be let go, and then says the time now and then."""
    from aiohttp import web

    async def manifest(_request: web.Request) -> web.Response:
        return web.json_response(
            {
                "schemaVersion": "v0",
                "providerId": "plan",
                "name": "stories",
                "version": "1",
                "description": "",
                "capabilities": {"inputs": ["text"], "interactionEvents": [], "streaming": True},
                "security": {"auth": "none", "requiredScopes": []},
            }
        )

    async def invoke(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def wait(seconds: float) -> None:
            """With a sign of life now and then."""
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and not (seconds == FOREVER and go.is_set()):
                await response.write(b": still here\n\n")
                await asyncio.sleep(min(2.0, left))

        await wait(FOREVER)
        await wait(random.random() * PAUSE_SECONDS)  # they don't all speak at once
        for _ in range(events):
            event = {"type": "assistant_message", "text": f"{time.time() * 1000:.0f}"}
            await response.write(b"data: %b\n\n" % json.dumps({"type": "event", "event": event}).encode())
            await wait(PAUSE_SECONDS)
        await response.write(b'data: {"type":"end"}\n\n')
        return response

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/.well-known/uniassist/manifest.json", manifest)
        app.router.add_post("/v0/invoke", invoke)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.put(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()

    asyncio.run(serve())


def _load(gateway: str, readers: int, events: int, out: Any, go: Any) -> None:
    import uvloop

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_follow(gateway, readers, events, out, go))


@dataclass
class _Seen:
    opened: int = 0
    finished: int = 0
    ages: list[float] = field(default_factory=list)


async def _follow(gateway: str, readers: int, events: int, out: Any, go: Any) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    seen, places = _Seen(), asyncio.Semaphore(50)
    async with aiohttp.ClientSession() as http:
        runs = [_run_body(f"told{number}", "story") for number in range(RUNS)]

        async def begin(body: dict[str, Any]) -> None:
            """Whoever began it leaves; the run goes on."""
            async with places:
                answer = await http.post(f"{gateway}/ag-ui", json=body)
                await answer.content.readuntil(b"STEP_STARTED")
                answer.close()

        await asyncio.gather(*(begin(body) for body in runs))
        await asyncio.sleep(2)
        out.put(len(runs))

        async def follow(number: int) -> None:
            run = runs[number % RUNS]
            path = f"/ag-ui?threadId={run['threadId']}&runId={run['runId']}"
            async with places:
                reader, writer = await asyncio.open_connection(host, int(port), limit=256 * 1024)
                writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                await reader.readuntil(b"STEP_STARTED")
                seen.opened += 1
            while line := await reader.readline():
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                if event["type"] == "TEXT_MESSAGE_CONTENT":
                    seen.ages.append(time.time() * 1000 - float(event["delta"]))
                elif event["type"] == "RUN_FINISHED":
                    seen.finished += 1
                    break
            writer.close()

        following = [asyncio.create_task(follow(number)) for number in range(readers)]
        end = time.monotonic() + 250
        while seen.opened < readers and time.monotonic() < end:
            await asyncio.sleep(0.1)
        out.put(seen.opened)
        end = time.monotonic() + events * PAUSE_SECONDS + 200
        while seen.finished < seen.opened and time.monotonic() < end:
            await asyncio.sleep(0.1)
        out.put((seen.ages, seen.finished))
        for each in following:
            each.cancel()
