"""Ingest at 200/s, alone and beside 50 hostile requests a second: what strangers and a bad customer cost others."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import jwt

from bench.ingest import Load, load
from bench.stage import Stage, percentile

RATE, HOSTILE_RATE = 200, 50
SLICE_SECONDS = 5
SLOW_SECONDS = 4.0
KEY = "bench-app-token-key-0123456789abcdef"
_MEGABYTE = 1024 * 1024


async def measure(stage: Stage, *, rounds: int) -> dict[str, Any]:
    """In turns of SLICE_SECONDS on one gateway, so that what else the machine does meets both.

    The gateway asks for tokens. No bound on an address helps it: this machine's isn't limited.
    """
    _, gateway = stage.start(
        "gateway",
        stage.fresh_database("hostile"),
        UNIASSIST_APP_AUTH="jwt",
        UNIASSIST_APP_JWT_KEY=KEY,
        GATEWAY_HOUR_SESSIONS_PER_USER="0",
    )
    seen: dict[bool, list[float]] = {False: [], True: []}
    slices: dict[bool, list[float]] = {False: [], True: []}
    answers = Counter[str]()
    for number in range(rounds + 1):
        for beside in seen:
            asked = Load(gateway, 32, SLICE_SECONDS, RATE, token_key=KEY)
            others = asyncio.to_thread(load, asked)
            if beside:
                (_, latencies), counted = await asyncio.gather(others, asyncio.to_thread(_hostile, gateway))
            else:
                (_, latencies), counted = await others, Counter[str]()
            if number > 0:  # the first only warms up
                seen[beside] += latencies
                slices[beside].append(percentile(latencies, 0.99))
                answers += counted
    stage.stop_services()
    alone, beside_them = percentile(seen[False], 0.99), percentile(seen[True], 0.99)
    medians = {beside: percentile(each, 0.5) for beside, each in slices.items()}
    return {
        "rate": RATE,
        "hostile_rate": HOSTILE_RATE,
        "slice_seconds": SLICE_SECONDS,
        "slices": {"alone": _rounded(slices[False]), "beside": _rounded(slices[True])},
        "answers": dict(sorted(answers.items())),
        "alone_p99_ms": round(alone, 2),
        "beside_p99_ms": round(beside_them, 2),
        "ratio": round(beside_them / alone, 2),
        "median_slice_ratio": round(medians[True] / medians[False], 2),
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(each, 2) for each in values]


def _hostile(url: str) -> Counter[str]:
    """From a process of its own: how many were answered how."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    process = context.Process(target=_hostile_process, args=(url, out))
    process.start()
    counted: Counter[str] = out.get(timeout=SLICE_SECONDS + 60)
    process.join(10)
    return counted


def _hostile_process(url: str, out: Any) -> None:
    out.put(asyncio.run(_attack(url)))


async def _attack(url: str) -> Counter[str]:
    host, port = url.removeprefix("http://").split(":")
    kinds, counted = _kinds(), Counter[str]()
    began = time.monotonic()

    async def one(number: int) -> None:
        await asyncio.sleep(max(0.0, began + number / HOSTILE_RATE - time.monotonic()))
        name = list(kinds)[number % len(kinds)]
        head, body = kinds[name]()
        reader, writer = await asyncio.open_connection(host, int(port))
        answer = "no answer"
        try:
            writer.write(head)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(SLOW_SECONDS):
                    await _send(writer, body, slowly=name.endswith(("slow", "slow body")))
                    answer = (await reader.readline()).decode("latin-1").split(" ")[1]
        finally:
            writer.close()
        counted[f"{name}: {answer}"] += 1

    await asyncio.gather(*(one(number) for number in range(SLICE_SECONDS * HOSTILE_RATE)))
    return counted


async def _send(writer: asyncio.StreamWriter, body: bytes, *, slowly: bool) -> None:
    if not slowly:
        writer.write(body)
        await writer.drain()
        return
    for at in range(0, len(body), 64):
        writer.write(body[at : at + 64])
        await writer.drain()
        await asyncio.sleep(0.25)


def _kinds() -> dict[str, Callable[[], tuple[bytes, bytes]]]:
    """By name: a request's head and body."""
    token = jwt.encode({"sub": "bad", "exp": time.time() + 3600}, KEY, algorithm="HS256")
    empties = b'{"raw":[' + b"[]," * (_MEGABYTE // 3 - 10) + b"1]}"
    deep = b'{"raw":' + b"[" * (_MEGABYTE - 10)
    exponents = b'{"raw":[' + b"1e9," * (_MEGABYTE // 4 - 10) + b"1]}"
    legal = b'{"raw":[' + b"[]," * 19_990 + b"1]}"  # as many values as there may be, and then not the shape
    return {
        "no token": lambda: _request(None, empties),
        "forged token": lambda: _request(token[:-4] + "AAAA", legal),
        "empty arrays": lambda: _request(token, empties),
        "deep": lambda: _request(token, deep),
        "no token, slow": lambda: _request(None, b"x" * 4096),
        "exponents": lambda: _request(token, exponents),
        "many values": lambda: _request(token, legal),
        "slow body": lambda: _request(token, b"x" * 4096),
    }


def _request(token: str | None, body: bytes) -> tuple[bytes, bytes]:
    shown = b"" if token is None else b"authorization: Bearer %b\r\n" % token.encode()
    head = b"POST /v0/ingest HTTP/1.1\r\nhost: x\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (shown, len(body)), body
