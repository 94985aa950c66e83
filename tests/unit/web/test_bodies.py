"""Bodies on their way in: what the sample service holds of them, refuses of them, and gives back of them."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.web.conftest import SampleProcess
from tests.waiting import eventually

from uniassist.web.bodies import SMALL_BYTES, Body, BodyBudget

MIB = 1024 * 1024
ECHO = b"POST /v0/echo HTTP/1.1\r\nhost: x\r\n"
INPUT = {"schemaVersion": "v0", "traceId": "t", "userId": "u", "sessionId": "s", "source": "app", "timestampMs": 1}
BUDGET_MIB = 4  # of the sample


def held(sample: SampleProcess) -> float:
    with urllib.request.urlopen(f"{sample.url}/metrics", timeout=10) as answer:
        found = re.search(r"^uniassist_bodies_bytes (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found.group(1))


def whole(size: int = 0) -> bytes:
    return json.dumps(INPUT | {"text": "x" * size}).encode()


@asynccontextmanager
async def connected(sample: SampleProcess) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sample.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, _, rest = head.partition("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in rest.strip().split("\r\n"))
        return int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def test_what_says_that_it_is_too_large_is_refused_before_it_comes(sample: SampleProcess) -> None:
    async with connected(sample) as (reader, writer):
        writer.write(ECHO + b"content-length: %d\r\n\r\n" % (MIB + 1))
        assert (await answered(reader))[0] == 413
        writer.write(b"x" * (MIB + 1))  # what comes all the same is passed over, and the connection goes on
        writer.write(ECHO + b"content-length: %d\r\n\r\n" % len(whole()) + whole())
        assert (await answered(reader))[0] == 200


async def test_chunks_are_refused_once_they_are_too_many(sample: SampleProcess) -> None:
    async with connected(sample) as (reader, writer):
        writer.write(ECHO + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(5):
            writer.write(b"%x\r\n%b\r\n" % (MIB // 4, b"x" * (MIB // 4)))
        assert (await answered(reader))[0] == 413


async def send_for_long(writer: asyncio.StreamWriter) -> None:
    for _ in range(2000):
        writer.write(b"%x\r\n%b\r\n" % (MIB // 4, b"x" * (MIB // 4)))
        await writer.drain()


async def test_who_waits_for_leave_to_send_is_answered_and_closed(sample: SampleProcess) -> None:
    async with connected(sample) as (reader, writer):
        writer.write(ECHO + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (2 * MIB))
        status, headers, _ = await answered(reader)
        assert (status, headers["connection"]) == (413, "close")
        assert await reader.read() == b""


async def test_who_closes_after_the_answer_gets_to_see_it(sample: SampleProcess) -> None:
    async with connected(sample) as (reader, writer):
        writer.write(ECHO + b"connection: close\r\ncontent-length: %d\r\n\r\n" % (8 * MIB) + b"x" * (8 * MIB))
        assert (await answered(reader))[0] == 413


async def test_an_endless_sender_is_cut_off(sample: SampleProcess) -> None:
    async with connected(sample) as (_reader, writer):
        writer.write(ECHO + b"transfer-encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            await send_for_long(writer)


async def test_slow_senders_take_what_there_is_and_the_small_are_answered(sample: SampleProcess) -> None:
    """More than the budget in unfinished bodies; then each ends in one way or another, and gives back its part."""
    async with asyncio.timeout(60):
        slow = [await asyncio.open_connection("127.0.0.1", sample.port) for _ in range(60)]
    for _, writer in slow:
        writer.write(ECHO + b"content-length: %d\r\n\r\n" % MIB + b"x" * (MIB // 8))
    statuses = []
    for reader, _ in slow:
        try:
            async with asyncio.timeout(0.1):
                statuses.append((await answered_with_retry(reader))[0])
        except TimeoutError:
            statuses.append(0)
    assert set(statuses) == {0, 503}
    assert 0 < held(sample) <= BUDGET_MIB * MIB
    async with connected(sample) as (reader, writer):
        writer.write(ECHO + b"content-length: %d\r\n\r\n" % len(whole()) + whole())
        assert (await answered(reader))[0] == 200, "a line of text is let through"
        large = whole(MIB - 200)
        writer.write(ECHO + b"content-length: %d\r\n\r\n" % len(large) + large)
        assert (await answered_with_retry(reader))[0] == 503
    waiting = [each for each, status in zip(slow, statuses, strict=True) if status == 0]
    for number, (_, writer) in enumerate(waiting):
        if number % 3 == 0:
            writer.write(b"x" * (MIB - MIB // 8))  # ends, as no JSON
        elif number % 3 == 1:
            writer.close()
        else:
            writer.transport.abort()
    await eventually(lambda: held(sample) == 0, "all of it is given back")
    for _, writer in slow:
        writer.transport.abort()


async def answered_with_retry(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    status, headers, body = await answered(reader)
    assert int(headers["retry-after"]) > 0
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["code"] == "UNAVAILABLE"
    return status, headers, body


def test_the_last_eighth_is_for_small_bodies() -> None:
    budget = BodyBudget(8 * MIB)
    large, small, refused = Body(budget), Body(budget), Body(budget)
    assert large.take(7 * MIB)
    assert not refused.take(SMALL_BYTES + 1)
    assert not refused.take(1), "once refused, nothing more of it is kept"
    assert small.take(SMALL_BYTES)
    assert not small.take(1)
    assert budget.held_bytes == 7 * MIB, "what is refused is given back"
    large.end()
    assert not large.take(1), "what comes after the answer is nobody's"
    for each in (small, refused, large):
        each.end()
    assert budget.held_bytes == 0
