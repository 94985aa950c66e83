"""Gateways killed in the middle of streamed messages, readers that drop and resume: each message once, and whole.

UNIASSIST_STREAMED=200 runs the long form; its figures go to UNIASSIST_STREAMED_REPORT when that names a file.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from tests.integration.gateway.client import GatewayClient, Json, message, unique
from tests.integration.gateway.sse import Follower, follow
from tests.integration.gateway.streaming.conftest import when_looked_at
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

MESSAGES = int(os.environ.get("UNIASSIST_STREAMED", "20"))
IS_SHORT = MESSAGES <= 20
# A call is tried five times; so four kills, were they all to meet the same one. Longer messages outlast the starts.
KILLS, WORDS = (1, 40) if IS_SHORT else (4, 160)


@dataclass
class Reader:
    """One page, over all its connections. `shown`: what stood there of a message when its event came."""

    session_id: str
    urls: list[str]
    events: list[Json] = field(default_factory=list)
    shown: dict[tuple[str, str], str] = field(default_factory=dict)
    deltas: int = 0
    drops: int = 0

    async def read(self, enough: asyncio.Event) -> None:
        """Follows, drops at random, and resumes at another gateway by the id that it has."""
        while not enough.is_set():  # ends: the test has what it waits for
            cursor = self.events[-1]["seq"] if self.events else 0
            try:
                async with follow(random.choice(self.urls), self.session_id, last_event_id=cursor) as follower:
                    try:
                        async with asyncio.timeout(random.uniform(0.2, 1.5)):
                            await enough.wait()
                    except TimeoutError:
                        self.drops += 1
                    finally:
                        self._keep(follower)
            except (aiohttp.ClientError, OSError):  # a gateway that was killed
                await asyncio.sleep(0.05)

    def _keep(self, follower: Follower) -> None:
        self.events += follower.events
        self.deltas += len(follower.deltas)
        self.shown |= {key: text for key, text in follower.texts.items() if key in follower.finished}


@pytest.mark.timeout(120 + MESSAGES)
async def test_each_reader_ends_with_each_message_once_and_whole(
    service: Callable[..., ServiceProcess],
    streaming_env: Mapping[str, str],
    streams: StreamingProvider,
    http: JsonClient,
    database_url: str,
) -> None:
    env = dict(streaming_env) | {"DATABASE_URL": database_url}
    processes = [service("gateway", **env) for _ in range(2)]
    for process in processes:
        await when_looked_at(http, process.url)
    began, enough = time.monotonic(), asyncio.Event()
    readers = [Reader(unique("streamed"), [process.url for process in processes]) for _ in range(MESSAGES)]
    reading = [asyncio.create_task(reader.read(enough)) for reader in readers]
    gateways = [GatewayClient(http, process.url) for process in processes]
    sent = [
        gateways[number % 2].ingest(message(f"calm story:{WORDS} end", sessionId=reader.session_id))
        for number, reader in enumerate(readers)
    ]
    runs = [ack["runs"][0]["runId"] for ack in await asyncio.gather(*sent)]
    for kill in range(KILLS):
        await eventually(lambda: streams.under_way >= MESSAGES // 3 or all_over(readers), "they write", 60)
        victim = processes[kill % 2]
        await asyncio.to_thread(victim.kill)
        if not IS_SHORT:  # a start takes as long as the short form's messages
            await asyncio.to_thread(victim.start)
            await when_looked_at(http, victim.url)
    await eventually(lambda: all_over(readers), "every reader has seen its run's end", 100)
    enough.set()
    await asyncio.gather(*reading)
    for reader, run_id in zip(readers, runs, strict=True):
        await check(reader, run_id, gateways[1])
    assert max(streams.attempts[run_id] for run_id in runs) > 1, "the kills met some that were under way"
    report(readers, runs, streams, time.monotonic() - began)


def all_over(readers: list[Reader]) -> bool:
    return all(
        any(e["kind"] == "provider_run" and e["payload"]["status"] == "completed" for e in reader.events)
        for reader in readers
    )


async def check(reader: Reader, run_id: str, gateway: GatewayClient) -> None:
    assert reader.events == await gateway.timeline(reader.session_id), "each event once, in order, none missing"
    said = [event["payload"]["event"] for event in reader.events if event["kind"] == "interaction"]
    half, whole = (each["text"] for each in said)
    assert half == "half of it"
    attempt = whole.split(".", 1)[0]
    assert whole == "".join(f"{attempt}.{number} " for number in range(WORDS)), "one attempt's words, all of them"
    for key, text in reader.shown.items():
        assert key == (run_id, "story")
        if text.startswith(f"{attempt}."):
            assert whole.startswith(text), "what stood there is the message's beginning"


def report(readers: list[Reader], runs: list[str], streams: StreamingProvider, seconds: float) -> None:
    path = os.environ.get("UNIASSIST_STREAMED_REPORT")
    if not path:
        return
    drops, deltas = sum(reader.drops for reader in readers), sum(reader.deltas for reader in readers)
    attempts = Counter(streams.attempts[run_id] for run_id in runs)
    Path(path).write_text(
        f"""# Gateways killed in the middle of streamed messages

{MESSAGES} messages of {WORDS} words, streamed at once through two gateways; {KILLS} SIGKILLs, in turn;
{len(readers)} readers that dropped {drops:,} times and resumed at either gateway by their last id;
{seconds:.0f} s. Attempts at a run: {dict(sorted(attempts.items()))}.
{deltas:,} deltas were shown, without a hole and none after its message's event. Each
reader ended with each durable event once, in order, and the text of each message is one attempt's, whole.

`make stream-kills`
""",
        "utf-8",
    )
