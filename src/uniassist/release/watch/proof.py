"""The proof that the alarm fires: a synthetic service that fails, through the very code that watches real ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from uniassist.errors import StartError
from uniassist.release.watch.sources import RunningSystem
from uniassist.release.watch.triggers.judge import Judge
from uniassist.release.watch.triggers.rates import RateTrigger
from uniassist.release.watch.triggers.samples import Cadence, Trigger
from uniassist.release.watch.triggers.thresholds import Threshold
from uniassist.release.watch.watching import Watching
from uniassist.web.calling.client import JsonClient

SERVICE = "synthetic"
PROOF_SECONDS = 10.0
_CADENCE = Cadence(
    probe_seconds=0.02,
    probe_deadline_seconds=1.0,
    failing_seconds=0.2,
    silence_seconds=2.0,
    round_seconds=60.0,
    metrics_seconds=60.0,
    metrics_silence_seconds=60.0,
)
_GOOD_ANSWERS = 3


async def prove() -> Trigger:
    """The trigger that the synthetic failure fired; StartError when it didn't, or not for the right reason."""
    answered: list[int] = []
    async with _synthetic(answered) as url, JsonClient() as client:
        system = RunningSystem(client, _CADENCE, {SERVICE: url}, None, database_url=None, redis_url=None)
        never = Threshold(0.0, 60.0, "nobody", datetime.now(UTC).date(), "the proof counts no rows")
        judge = Judge(
            [SERVICE],
            _CADENCE,
            asyncio.get_running_loop().time(),
            dead_letters=RateTrigger("dead_letter", never, 0.0),
            attempts=RateTrigger("retry", never, 0.0),
        )
        ended = await Watching(system, judge, _CADENCE, say=lambda _notice: None).run(PROOF_SECONDS)
    trigger = ended.trigger
    if trigger is None or (trigger.kind, trigger.subject) != ("health", SERVICE):
        raise StartError(f"a synthetic failure fired {trigger or 'nothing'}: this watch would be blind")
    if trigger.at - trigger.first_failed_at < _CADENCE.failing_seconds or 200 not in answered:
        raise StartError("a synthetic failure fired before its time: this watch would roll back for nothing")
    return replace(trigger, reason=f"test, nothing is wrong: {trigger.reason}")


@asynccontextmanager
async def _synthetic(answered: list[int]) -> AsyncIterator[str]:
    """A health on loopback that is well a few times, and then never again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = 200 if len(answered) < _GOOD_ANSWERS else 503
        answered.append(status)
        checks = {"synthetic": "ok" if status == 200 else "failing"}
        body = json.dumps({"ok": status == 200, "service": SERVICE, "revision": "test", "checks": checks}).encode()
        head = f"HTTP/1.1 {status} Synthetic\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
