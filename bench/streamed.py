"""Messages streamed to many readers at once: how late their text is, and what that costs the acks of others."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import time
from dataclasses import dataclass
from typing import Any

from bench.ingest import Load, load, request
from bench.sse import _memory
from bench.stage import Stage, cpu_seconds, percentile

WORDS_PER_SECOND = 20
ACK_RATE = 50
PROVIDERS = """[[provider]]
id = "plan"
keywords = ["story"]
base_url = "{url}"
concurrency = 1000
"""


@dataclass(frozen=True)
class Streams:
    """`gateway`: where readers are. `asked`: the gateway that is told to say something."""

    gateway: str
    asked: str
    readers: int
    messages: int
    seconds: int


async def measure(stage: Stage, *, readers: int, messages: int, seconds: int) -> dict[str, Any]:
    """Each message is followed by `readers / messages` readers, and is said for `seconds`."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    provider = context.Process(target=provide, args=(seconds, told), daemon=True)
    provider.start()
    settings = await asyncio.to_thread(settings_for, stage, told)
    url = stage.fresh_database("streamed")
    process, gateway = stage.start("gateway", url, **settings)
    assert process.pid is not None
    _, quiet = await asyncio.to_thread(load, Load(gateway, 8, max(4, seconds // 2), ACK_RATE))
    before = _memory(process.pid)
    out: Any = context.Queue()
    asked = Streams(gateway, gateway, readers, messages, seconds)
    reading = context.Process(target=read, args=(asked, out))
    reading.start()
    opened = await asyncio.to_thread(out.get, True, 180)
    held, cpu, began = _memory(process.pid), cpu_seconds(process), time.monotonic()
    loaded = asyncio.create_task(asyncio.to_thread(load, Load(gateway, 8, seconds, ACK_RATE)))
    ages, frames, whole, missing = await asyncio.to_thread(out.get, True, seconds + 120)
    busy = (cpu_seconds(process) - cpu) / (time.monotonic() - began)
    most = _memory(process.pid)
    _, beside = await loaded
    reading.join(10)
    stage.stop_services()
    provider.terminate()
    provider.join(10)
    return {
        "readers": opened,
        "messages": messages,
        "words_per_second": messages * WORDS_PER_SECOND,
        "frames": frames,
        "age_p50_ms": round(percentile(ages, 0.5)),
        "age_p99_ms": round(percentile(ages, 0.99)),
        "whole": whole,
        "missing": missing,
        "gateway_cpu_percent": round(100 * busy),
        "kib_each": round((held - before) / opened / 1024, 1),
        "kib_each_streaming": round((most - before) / opened / 1024, 1),
        "quiet_ack_p50_ms": round(percentile(quiet, 0.5), 2),
        "quiet_ack_p99_ms": round(percentile(quiet, 0.99), 2),
        "ack_p50_ms": round(percentile(beside, 0.5), 2),
        "ack_p99_ms": round(percentile(beside, 0.99), 2),
    }


def settings_for(stage: Stage, told: Any) -> dict[str, str]:
    """Of a gateway, with the provider that says its URL to `told`."""
    file = stage.directory / "streamed.toml"
    file.write_text(PROVIDERS.format(url=told.get(True, 30)), "utf-8")
    return {"UNIASSIST_PROVIDERS_FILE": str(file), "GATEWAY_RATE_LIMIT_PER_USER": "0"}


def provide(seconds: int, told: Any) -> None:
    """Streams words that are the time, and then the message whole."""
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

        async def send(frame: dict[str, Any]) -> None:
            await response.write(b"data: %b\n\n" % json.dumps(frame).encode())

        words = []
        for _ in range(seconds * WORDS_PER_SECOND):
            words.append(f"{time.time() * 1000:.0f} ")
            await send({"type": "delta", "messageId": "m", "text": words[-1]})
            await asyncio.sleep(1 / WORDS_PER_SECOND)
        whole = {"type": "assistant_message", "messageId": "m", "text": "".join(words)}
        await send({"type": "event", "event": whole})
        await send({"type": "end"})
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


def read(asked: Streams, out: Any) -> None:
    import uvloop

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_run(asked, out))


async def _run(asked: Streams, out: Any) -> None:
    host, port = asked.gateway.removeprefix("http://").split(":")
    ages: list[float] = []
    places, connected, frames, whole = asyncio.Semaphore(200), 0, 0, 0

    async def follow(number: int) -> None:
        nonlocal connected, frames, whole
        async with places:
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024 * 1024)
            session = f"told{number % asked.messages}"
            writer.write(f"GET /v0/stream?sessionId={session} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            await reader.readuntil(b": connected\n\n")
            connected += 1
        text = ""
        while True:
            line = await reader.readline()
            if not line:
                return
            if not line.startswith(b"data: "):
                continue
            shown = json.loads(line[6:])
            if shown["type"] == "delta":
                frames += 1
                text = shown["text"] if shown["offset"] == 0 else text + shown["text"]
                ages.append(time.time() * 1000 - float(text.split()[-1]))
            elif "messageId" in shown["event"]["payload"].get("event", {}):
                # what was shown is the message's beginning
                whole += shown["event"]["payload"]["event"]["text"].startswith(text)

    readers = [asyncio.create_task(follow(number)) for number in range(asked.readers)]
    end = time.monotonic() + 150
    while connected < asked.readers and time.monotonic() < end:
        await asyncio.sleep(0.1)
    out.put(connected)
    host, port = asked.asked.removeprefix("http://").split(":")
    await asyncio.gather(*(_say(host, int(port), f"told{number}") for number in range(asked.messages)))
    end = time.monotonic() + asked.seconds + 60
    while whole < connected and time.monotonic() < end:
        await asyncio.sleep(0.1)
    out.put((ages, frames, whole, connected - whole))
    for each in readers:
        each.cancel()


async def _say(host: str, port: int, session_id: str) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request(session_id, f"trace-{session_id}", "story"))
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
