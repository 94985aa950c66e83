"""SIGKILL of a worker at named points: before and after each step that matters, seen from outside on its wire.

A proxy between the worker and its servers knows the step by the command that passes. At "before" the command never
reaches the server; at "after" the server has done it and the worker never hears of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

import pytest

from tests.chaos.proxy import Direction, Proxy, proxied
from tests.integration.delivery.outbox_rows import Outbox, opened
from tests.processes import ServiceProcess
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

When = Literal["before", "after"]


@dataclass(frozen=True)
class Step:
    """Where the command shows, what only it holds, what only its answer holds, and how often it passes first."""

    server: Literal["postgres", "redis"]
    request: bytes
    reply: bytes = b""
    nth: int = 3


STEPS = {
    "taking shards": Step("postgres", b"INSERT INTO delivery_workers", nth=1),
    "claiming": Step("postgres", b"waiting AS MATERIALIZED"),
    "publishing": Step("redis", b'"type":"timeline_event"', b"published"),
    "reading": Step("redis", b"XREADGROUP", b"eventId", nth=1),
    "marking delivered": Step("postgres", b"SET status = 'delivered'", nth=1),
    "marking consumed": Step("postgres", b"SET status = 'consumed'"),
    "acknowledging": Step("redis", b"XACK"),
}

# asyncpg sends a statement's text once, under a name, and the name with each execution.
_PARSE = re.compile(rb"P....(__asyncpg_stmt_\w+__)\x00([^\x00]*)\x00", re.DOTALL)
LONGEST_STATEMENT = 32 * 1024
_BIND = re.compile(rb"B....\x00(__asyncpg_stmt_\w+__)\x00", re.DOTALL)


@dataclass
class Killer:
    """Kills the worker when the step's command passes for the nth time, or its answer comes."""

    worker: ServiceProcess
    step: Step
    when: When
    passed: int = 0
    killed: bool = False
    _statements: set[tuple[int, bytes]] = field(default_factory=set)
    _sent: dict[int, bytes] = field(default_factory=dict)
    _answer_due_on: int | None = None

    def tap(self, connection: int, direction: Direction, chunk: bytes) -> bool:
        if self.killed:
            return True
        if direction == "request":
            if self._asks(connection, chunk):
                self.passed += 1
                if self.passed >= self.step.nth and self.when == "before":
                    return self._kill()
                self._answer_due_on = connection
        elif connection == self._answer_due_on and self.when == "after" and self.passed >= self.step.nth:
            return self.step.reply in chunk and self._kill()
        return False

    def _asks(self, connection: int, chunk: bytes) -> bool:
        if self.step.server == "redis":
            return self.step.request in chunk
        before = self._sent.get(connection, b"")  # a long statement may come in two chunks
        sent = before + chunk
        self._sent[connection] = sent[-LONGEST_STATEMENT:]
        for name, text in _PARSE.findall(sent):
            if self.step.request in text:
                self._statements.add((connection, name))
        asked = [found[1] for found in _BIND.finditer(sent) if found.end() > len(before)]
        return any((connection, name) in self._statements for name in asked)

    def _kill(self) -> bool:
        self.killed = True  # first: whoever waits for its start hears of its end at once
        self.worker.kill()
        return True


def confirmations_lost(_connection: int, direction: Direction, chunk: bytes) -> bool:
    """A tap that lets no entry through to the consumer, so that events stay delivered."""
    return direction == "reply" and b"eventId" in chunk


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", STEPS)
async def test_a_worker_killed_at_a_step_loses_and_repeats_nothing(
    own_postgres: EmbeddedPostgres,
    own_redis: EmbeddedRedis,
    service_later: Callable[..., ServiceProcess],
    name: str,
    when: When,
) -> None:
    step = STEPS[name]
    async with (
        opened(own_postgres.url, own_redis.url) as outbox,
        proxied(own_postgres.port) as postgres,
        proxied(own_redis.port) as redis,
    ):
        await outbox.write_many(7, 40)
        doomed = service_later("worker", **through(own_postgres, own_redis, postgres, redis))
        killer = Killer(doomed, step, when)
        if name == "marking delivered":
            redis.tap = confirmations_lost
        (postgres if step.server == "postgres" else redis).tap = killer.tap
        starting = asyncio.create_task(asyncio.to_thread(doomed.start))

        def killed() -> bool:
            if not killer.killed and starting.done():
                starting.result()  # why it didn't start says more than that nothing happened
            return killer.killed

        await eventually(killed, f"killed {when} {name}")
        await asyncio.gather(starting, return_exceptions=True)  # it may not have lived to say that it is ready
        assert (await outbox.states())["consumed"] < 280, "it died on the way"
        await let_leases_expire(outbox)
        heir = service_later("worker", DATABASE_URL=own_postgres.url, REDIS_URL=own_redis.url)
        await asyncio.to_thread(heir.start)
        await outbox.all_consumed()
        assert await outbox.check_session_streams() == 7
        assert await outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events") == 0
        await nothing_pending(outbox)


def through(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, postgres: Proxy, redis: Proxy
) -> dict[str, str]:
    return {
        "DATABASE_URL": own_postgres.url.replace(str(own_postgres.port), str(postgres.port)),
        "REDIS_URL": own_redis.url.replace(str(own_redis.port), str(redis.port)),
        "OUTBOX_BATCH_SIZE": "20",
        "STREAM_CONSUMER_BATCH_SIZE": "20",
    }


async def let_leases_expire(outbox: Outbox) -> None:
    """What time would do in some seconds."""
    await outbox.pool.execute("UPDATE delivery_shards SET lease_expires_at = now()")


async def nothing_pending(outbox: Outbox) -> None:
    """What the dead consumer had read is claimed by its heir and acknowledged."""

    async def acknowledged() -> bool:
        return bool((await outbox.redis.xpending("uniassist:timeline:all", "ua-delivery"))["pending"] == 0)

    await eventually(acknowledged, "no entry is left pending")


def test_a_statement_that_comes_in_two_chunks_is_seen() -> None:
    class Worker:
        def kill(self) -> None:
            pass

    parse = b"P\0\0\1\0__asyncpg_stmt_1__\0 INSERT INTO delivery_workers " + b"x" * 300 + b"\0"
    sent = parse + b"B\0\0\0\x20\0__asyncpg_stmt_1__\0"
    for cut in range(1, len(sent)):
        killer = Killer(cast(ServiceProcess, Worker()), STEPS["taking shards"], "before")
        assert not killer.tap(1, "request", sent[:cut])
        assert killer.tap(1, "request", sent[cut:]), cut
