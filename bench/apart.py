"""Messages streamed by one gateway to readers at another: what it costs both, a third without any, and Redis."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import Any

import psutil
from redis import Redis

from bench.stage import Stage, cpu_ms, percentile
from bench.streamed import WORDS_PER_SECOND, Streams, provide, read, settings_for
from uniassist.devstack.server import ServerProcess


async def measure(stage: Stage, *, readers: int, messages: int, seconds: int) -> dict[str, Any]:
    """CPU in percent of a core while text is written; of an idle system's none is taken away."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    provider = context.Process(target=provide, args=(seconds, told), daemon=True)
    provider.start()
    settings = await asyncio.to_thread(settings_for, stage, told)
    url = stage.fresh_database("apart")
    gateways = [stage.start("gateway", url, **settings) for _ in range(3)]
    (_, writer), (_, reader), _ = gateways
    out: Any = context.Queue()
    reading = context.Process(target=read, args=(Streams(reader, writer, readers, messages, seconds), out))
    reading.start()
    opened = await asyncio.to_thread(out.get, True, 180)
    watched = [process for process, _ in gateways] + [stage.redis.process]
    before, began, sent = [_cpu(each) for each in watched], time.monotonic(), _sent_bytes(stage)
    ages, frames, whole, missing = await asyncio.to_thread(out.get, True, seconds + 120)
    took = time.monotonic() - began
    busy = [round((_cpu(each) - cpu) / took / 10, 1) for each, cpu in zip(watched, before, strict=True)]
    sent = _sent_bytes(stage) - sent
    reading.join(10)
    stage.stop_services()
    provider.terminate()
    provider.join(10)
    return {
        "readers": opened,
        "messages": messages,
        "words_per_second": messages * WORDS_PER_SECOND,
        "seconds": round(took, 1),
        "frames": frames,
        "age_p50_ms": round(percentile(ages, 0.5)),
        "age_p99_ms": round(percentile(ages, 0.99)),
        "whole": whole,
        "missing": missing,
        **dict(zip(("writer_cpu", "reader_cpu", "idle_cpu", "redis_cpu"), busy, strict=True)),
        "redis_sent_mib": round(sent / 1024 / 1024, 2),
        "load": round(psutil.getloadavg()[0], 1),
    }


def _cpu(process: ServerProcess) -> float:
    return cpu_ms(process.pid)


def _sent_bytes(stage: Stage) -> int:
    with Redis.from_url(stage.redis.url) as redis:
        return int(redis.info("stats")["total_net_output_bytes"])
