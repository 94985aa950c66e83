"""Event streams: many in one gateway, memory for each, and how soon a commit reaches its reader."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import resource
import time
from typing import Any

import psutil

from bench.ingest import request
from bench.stage import Stage, percentile

EVENTS_PER_INPUT = 4


async def measure(stage: Stage, *, connections: int, seconds: int, inputs_per_second: int) -> dict[str, Any]:
    """`connections` readers, each on a session of its own; inputs to random ones of them at a steady rate."""
    process, gateway = stage.start("gateway", stage.fresh_database("sse"), GATEWAY_RATE_LIMIT_PER_USER="0")
    assert process.pid is not None
    before = _memory(process.pid)
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    reader = context.Process(target=_load, args=(gateway, connections, seconds, inputs_per_second, out))
    reader.start()
    opened = await asyncio.to_thread(out.get, True, 180)
    held = _memory(process.pid)
    latencies, sent = await asyncio.to_thread(out.get, True, seconds + 120)
    reader.join(10)
    stage.stop_services()
    return {
        "connections": opened,
        "kib_each": round((held - before) / opened / 1024, 1),
        "events_per_second": round(len(latencies) / seconds),
        "missing": sent * EVENTS_PER_INPUT - len(latencies),
        "p50_ms": round(percentile(latencies, 0.5), 1),
        "p99_ms": round(percentile(latencies, 0.99), 1),
    }


async def follow(gateway: str, sessions: list[str], seen: dict[str, int], stop: asyncio.Event) -> None:
    """Reads each session's stream until `stop`; `seen`: how many events came."""
    host, port = gateway.removeprefix("http://").split(":")

    async def one(session: str) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /v0/stream?sessionId={session} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        while line := await reader.readline():
            if line.startswith(b"data: "):
                seen[session] = seen.get(session, 0) + 1

    reading = [asyncio.create_task(one(session)) for session in sessions]
    await stop.wait()
    for each in reading:
        each.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


def _memory(pid: int) -> int:
    return int(psutil.Process(pid).memory_full_info().uss)


def _load(gateway: str, connections: int, seconds: int, rate: int, out: Any) -> None:
    import uvloop

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_run(gateway, connections, seconds, rate, out))


async def _run(gateway: str, connections: int, seconds: int, rate: int, out: Any) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    latencies: list[float] = []
    places = asyncio.Semaphore(200)
    readers: list[asyncio.Task[None]] = []
    connected = 0

    async def follow(number: int) -> None:
        nonlocal connected
        async with places:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /v0/stream?sessionId=s{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            await reader.readuntil(b": connected\n\n")
            connected += 1
        while True:
            line = await reader.readline()
            if line.startswith(b"data: "):
                latencies.append(time.time() * 1000 - json.loads(line[6:])["event"]["timestampMs"])

    readers = [asyncio.create_task(follow(number)) for number in range(connections)]
    end = time.monotonic() + 150
    while connected < connections and time.monotonic() < end:
        await asyncio.sleep(0.1)
    out.put(connected)
    await asyncio.sleep(1)
    sent = await _write(host, int(port), connections, seconds, rate)
    end = time.monotonic() + 10
    while len(latencies) < sent * EVENTS_PER_INPUT and time.monotonic() < end:
        await asyncio.sleep(0.1)
    out.put((latencies, sent))
    for each in readers:
        each.cancel()


async def _write(host: str, port: int, sessions: int, seconds: int, rate: int) -> int:
    """Inputs at a steady rate over a few connections; how many were acknowledged."""
    writers, sent, began = 8, 0, time.monotonic()

    async def write(number: int) -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection(host, port)
        for turn in range(number, rate * seconds, writers):
            await asyncio.sleep(max(0.0, began + turn / rate - time.monotonic()))
            writer.write(request(f"s{random.randrange(sessions)}", f"t{turn}"))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            sent += head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(write(number) for number in range(writers)))
    return sent
