"""`python -m bench.console`: what open consoles cost a gateway that has nothing else to do.

A console here makes the requests that its page makes while nobody touches it: a stream that is held open, the list
of sessions and the state of delivery every 15 s on Talk; the samples every 10 s and delivery on Watch.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import psutil

from bench.stage import Stage, stage

SESSIONS_SECONDS = DELIVERY_SECONDS = 15.0
WATCH_SECONDS = 10.0
TALKS = 60  # sessions in the list, with a few events each


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.console", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--consoles", type=int, default=100)
    chosen = parser.parse_args()
    with stage() as built:
        found = asyncio.run(measure(built, chosen.consoles, chosen.seconds))
    print("| the gateway, idle | of a core |\n|---|---|")
    for name, share in found.items():
        print(f"| {name} | {share * 100:.1f} % |")


async def measure(stage: Stage, consoles: int, seconds: int) -> dict[str, float]:
    """Shares of a core, the worker's look at its own streams not included."""
    database = stage.fresh_database("console")
    stage.start("worker", database)
    process, url = stage.start(
        "gateway", database, UNIASSIST_ENV="dev", UNIASSIST_CONSOLE="true", GATEWAY_RATE_LIMIT_PER_USER="0"
    )
    await _talk(url)
    await asyncio.sleep(12)  # the first sample, and the worker's first words
    assert process.pid is not None
    gateway = psutil.Process(process.pid)
    found = {"nobody looks": await _share(gateway, seconds)}
    context = multiprocessing.get_context("spawn")
    for page in ("talk", "watch"):
        opened: Any = context.Queue()
        pages = context.Process(target=_pages, args=(url, page, consoles, opened), daemon=True)
        pages.start()
        assert await asyncio.to_thread(opened.get, True, 120) == consoles
        await asyncio.sleep(DELIVERY_SECONDS)  # each is somewhere in its rounds by then
        found[f"{consoles} consoles on {page.title()}"] = await _share(gateway, seconds)
        pages.kill()
        pages.join(10)
        await asyncio.sleep(5)
    stage.stop_services()
    return found


async def _share(process: psutil.Process, seconds: int) -> float:
    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before = used()
    await asyncio.sleep(seconds)
    return (used() - before) / seconds


async def _talk(url: str) -> None:
    async with aiohttp.ClientSession(url) as client:
        for number in range(TALKS):
            said = {
                "schemaVersion": "v0",
                "traceId": f"t{number}",
                "userId": f"u{number}",
                "sessionId": f"s{number}",
                "source": "app",
                "timestampMs": 1_796_000_000_000 + number,
                "text": "hello there, what can you do for me?",
            }
            async with client.post("/v0/ingest", json=said) as answer:
                assert answer.status == 200, await answer.text()


def _pages(url: str, page: str, consoles: int, opened: Any) -> None:
    asyncio.run(_open(url, page, consoles, opened))


async def _open(url: str, page: str, consoles: int, opened: Any) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as client:
        ready = asyncio.Semaphore(0)
        tasks = [
            asyncio.create_task(each)
            for number in range(consoles)
            for each in _rounds(client, page, f"s{number % TALKS}", ready)
        ]
        for _ in tasks:
            await ready.acquire()
        opened.put(consoles)
        await asyncio.gather(*tasks)


def _rounds(client: aiohttp.ClientSession, page: str, session: str, ready: asyncio.Semaphore) -> list[Any]:
    delivery = _asking(client, "watch", lambda: _since(-3600), DELIVERY_SECONDS, ready)
    if page == "watch":
        return [delivery, _asking(client, "watch", lambda: _since(WATCH_SECONDS), WATCH_SECONDS, ready)]
    sessions = _asking(client, "sessions", lambda: {"limit": "60"}, SESSIONS_SECONDS, ready)
    return [delivery, sessions, _following(client, session, ready)]


def _since(seconds: float) -> dict[str, str]:
    """Samples after that many seconds ago."""
    return {"since": str(int((time.time() - seconds) * 1000))}


async def _asking(
    client: aiohttp.ClientSession,
    path: str,
    fields: Callable[[], dict[str, str]],
    every: float,
    ready: asyncio.Semaphore,
) -> None:
    await asyncio.sleep(random.uniform(0, 2))
    while True:  # ends: with its process
        async with client.get(f"/console/v0/{path}", params=fields()) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        ready.release()
        await asyncio.sleep(every * random.uniform(0.95, 1.05))


async def _following(client: aiohttp.ClientSession, session: str, ready: asyncio.Semaphore) -> None:
    asked = {"schemaVersion": "v0", "sessionId": session}
    async with client.post("/console/v0/stream-tickets", json=asked) as answer:
        ticket = (await answer.json())["ticket"]
    async with client.get("/v0/stream", params={"ticket": ticket, "cursor": "0"}) as stream:
        assert stream.status == 200, await stream.text()
        ready.release()
        async for _ in stream.content:
            pass
    raise AssertionError("the stream ended")


if __name__ == "__main__":
    main()
