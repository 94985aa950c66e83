"""A server that is away or stalls: no attempt is spent, health says so in time, everything goes on by itself."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.integration.delivery.asking import health
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import Outbox
from tests.integration.delivery.test_delivery_rescue import SMALL, some_consumed
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

# What the contract gives health to tell the truth, and something for a busy machine.
TRUTH_SECONDS = 5.0 + 1.5
LOUD = {"UNIASSIST_LOG_LEVEL": "debug"}
LONGEST_PAUSE = '"seconds": 5.0'


async def turns(worker: ServiceProcess, status: int, **checks: str) -> float:
    """Until /health says so; the seconds that it took."""
    began = time.monotonic()

    async def said() -> bool:
        found, seen = await health(worker)
        return found == status and all(seen[name].startswith(state) for name, state in checks.items())

    await eventually(said, f"health is {status} with {checks}", deadline_seconds=20, pause_seconds=0.1)
    return time.monotonic() - began


async def logged(worker: ServiceProcess, words: str) -> None:
    await eventually(lambda: words in worker.process.log.read_text(), f"the log says {words}", 40)


async def untouched_by_outage(outbox: Outbox) -> None:
    await outbox.all_consumed(deadline_seconds=40)
    spent = await outbox.pool.fetchval(
        "SELECT count(*) FROM outbox_events WHERE attempts > 0 OR last_error IS NOT NULL"
    )
    assert spent == 0, "an outage is no event's fault"
    assert await outbox.check_session_streams(complete=False) > 0


async def test_redis_away_and_back(
    own_outbox: Outbox, start_own_worker: StartWorker, own_redis: EmbeddedRedis
) -> None:
    worker = start_own_worker(**SMALL, UNIASSIST_LOG_LEVEL="debug")
    await turns(worker, 200, postgres="ok", redis="ok", loops="ok")
    await own_outbox.write_many(40, 50)
    await some_consumed(own_outbox, 200)
    await asyncio.to_thread(own_redis.process.kill)
    assert await turns(worker, 503, redis="away", postgres="ok") < TRUTH_SECONDS
    await own_outbox.write_turn("meanwhile", 3)
    await logged(
        worker, '"seconds": 5.0, "event": "loop pauses"'
    )  # the longest pause, which must not hide the return
    await asyncio.to_thread(own_redis.start)
    assert await turns(worker, 200, redis="ok") < TRUTH_SECONDS
    await untouched_by_outage(own_outbox)


async def test_redis_stalls_and_goes_on(
    own_outbox: Outbox, start_own_worker: StartWorker, own_redis: EmbeddedRedis
) -> None:
    worker = start_own_worker(**SMALL)
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 500)
    own_redis.process.pause()
    try:
        assert await turns(worker, 503, redis="away", postgres="ok") < TRUTH_SECONDS
        await logged(worker, "TimeoutError")  # of the call, so that its late answer belongs to nobody
    finally:
        own_redis.process.resume()
    assert await turns(worker, 200, redis="ok") < TRUTH_SECONDS
    await untouched_by_outage(own_outbox)
    assert await own_outbox.check_session_streams() == 40


async def test_postgres_away_and_back(
    own_outbox: Outbox, start_own_worker: StartWorker, own_postgres: EmbeddedPostgres
) -> None:
    worker = start_own_worker(**SMALL, UNIASSIST_LOG_LEVEL="debug")
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 500)
    await asyncio.to_thread(own_postgres.stop)
    assert await turns(worker, 503, postgres="away", redis="ok") < TRUTH_SECONDS
    await logged(worker, '"seconds": 5.0, "event": "loop pauses"')
    await asyncio.to_thread(own_postgres.start)
    assert await turns(worker, 200, postgres="ok") < TRUTH_SECONDS
    await untouched_by_outage(own_outbox)
    assert await own_outbox.check_session_streams() == 40


async def test_a_redis_that_takes_no_writes_is_an_outage_that_health_names(
    own_outbox: Outbox, start_own_worker: StartWorker
) -> None:
    worker = start_own_worker()
    await own_outbox.write_turn("s", 1)
    await own_outbox.all_consumed()
    await own_outbox.redis.config_set("maxmemory", "1")
    events = await own_outbox.write_turn("s", 3)
    assert (
        await turns(worker, 503, postgres="ok", redis="full (maxmemory, noeviction)", delivery="failing")
        < TRUTH_SECONDS
    )
    assert {(await own_outbox.row(event))["attempts"] for event in events} == {0}
    await own_outbox.redis.config_set("maxmemory", "0")
    assert await turns(worker, 200, redis="ok", delivery="ok") < TRUTH_SECONDS
    await untouched_by_outage(own_outbox)


async def test_a_worker_that_starts_before_its_servers_waits_for_them(
    own_outbox: Outbox,
    start_own_worker: StartWorker,
    own_postgres: EmbeddedPostgres,
    own_redis: EmbeddedRedis,
) -> None:
    await own_outbox.write_turn("s", 3)
    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(own_redis.stop)
    worker = start_own_worker()
    assert (await health(worker))[0] == 503
    await asyncio.to_thread(own_postgres.start)
    await asyncio.to_thread(own_redis.start)
    await turns(worker, 200)
    await own_outbox.all_consumed()


@pytest.mark.parametrize("away", ["postgres", "redis", "both"])
async def test_a_worker_can_be_stopped_while_its_servers_are_away(
    own_outbox: Outbox,
    start_own_worker: StartWorker,
    own_postgres: EmbeddedPostgres,
    own_redis: EmbeddedRedis,
    away: str,
) -> None:
    worker = start_own_worker(**SMALL)
    await own_outbox.write_many(40, 100)
    await some_consumed(own_outbox, 300)
    if away != "redis":
        await asyncio.to_thread(own_postgres.process.kill)
    if away != "postgres":
        await asyncio.to_thread(own_redis.process.kill)
    assert await asyncio.to_thread(worker.stop), "it went by itself"
    assert worker.process.exit_code == 0, worker.process.last_lines()
