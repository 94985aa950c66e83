"""The database's clock set back, and shards that nobody holds: what a lease says then, and what health says."""

from __future__ import annotations

import asyncio
import datetime as dt

from tests.integration.delivery.asking import get, health
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import PREFIX, Outbox, metric
from tests.integration.delivery.test_delivery_rescue import SMALL, owners, shared_by
from tests.processes import ServiceProcess
from tests.waiting import eventually


async def set_back(outbox: Outbox, seconds: int) -> None:
    """Seen from the rows, a clock that was set back is the same as rows that were written later."""
    async with outbox.pool.acquire() as connection, connection.transaction():
        step = f"interval '{seconds} seconds'"
        await connection.execute(
            f"UPDATE delivery_workers SET expires_at = expires_at + {step}, beat_at = beat_at + {step}"
        )
        await connection.execute(f"UPDATE delivery_shards SET lease_expires_at = lease_expires_at + {step}")
        await connection.execute(
            f"UPDATE outbox_events SET next_retry_at = next_retry_at + {step}, locked_at = locked_at + {step}, "
            f"lease_expires_at = lease_expires_at + {step}, updated_at = updated_at + {step}"
        )


async def test_a_clock_set_back_holds_no_shard_of_a_dead_worker_and_costs_a_living_one_none(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    dead, alive = start_worker(**SMALL), start_worker(**SMALL)
    await shared_by(outbox, 2)
    dead.kill()
    await set_back(outbox, seconds=120)
    await outbox.write_many(40, 5)
    await outbox.all_consumed(deadline_seconds=15)
    assert await outbox.check_session_streams() == 40
    assert sum((await owners(outbox)).values()) == 32
    _, text = await get(alive, "/metrics")
    assert metric(text, "uniassist_delivery_leases_lost_total") == 0


async def test_living_workers_keep_their_shards_when_the_clock_is_set_back(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    workers = [start_worker(**SMALL) for _ in range(2)]
    before = await shared_by(outbox, 2)
    await set_back(outbox, seconds=120)

    async def renewed() -> bool:
        ahead = "SELECT count(*) FROM delivery_shards WHERE lease_expires_at > now() + interval '10 seconds'"
        return not await outbox.pool.fetchval(ahead)

    await eventually(renewed, "no lease is longer than it can be")
    assert await owners(outbox) == before
    for worker in workers:
        _, text = await get(worker, "/metrics")
        assert metric(text, "uniassist_delivery_leases_lost_total") == 0


async def test_a_retry_from_before_the_clock_was_set_back_is_due_and_its_session_goes_on(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.set(f"{PREFIX}poisoned", "not a stream")
    start_worker(OUTBOX_BACKOFF_BASE_MS="3600000", OUTBOX_BACKOFF_MAX_MS="3600000")
    events = await outbox.write_turn("poisoned", 3)
    await outbox.in_state(events[0], "failed")
    await outbox.redis.delete(f"{PREFIX}poisoned")
    await set_back(outbox, seconds=120)
    await outbox.all_consumed(deadline_seconds=15)
    assert [entry.event_id for entry in await outbox.session_stream("poisoned")] == events


async def test_a_retry_is_waited_for_where_the_clock_was_not_set_back(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    """Though others failed at a time that is still to come."""
    await outbox.redis.set(f"{PREFIX}early", "not a stream")
    await outbox.redis.set(f"{PREFIX}waits", "not a stream")
    start_worker(OUTBOX_BACKOFF_BASE_MS="3600000", OUTBOX_BACKOFF_MAX_MS="3600000")
    [early], [waits] = await outbox.write_turn("early", 1), await outbox.write_turn("waits", 1)
    for event in (early, waits):
        await outbox.in_state(event, "failed")
    await outbox.pool.execute(
        "UPDATE outbox_events SET updated_at = now() + interval '1 hour' WHERE event_id = $1", early
    )

    async def tried_again() -> bool:
        return bool((await outbox.row(early))["attempts"] == 2)

    await eventually(tried_again, "the one is tried again", 10)
    assert (await outbox.row(waits))["attempts"] == 1


async def test_a_row_that_its_worker_forgot_is_given_back_though_the_clock_was_set_back(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    """As after a crash of Postgres, which lost the worker's last commits."""
    start_worker()
    await shared_by(outbox, 1)
    [owner] = await owners(outbox)
    await outbox.write_bare(
        "forgotten",
        "s",
        status="processing",
        locked_by=owner,
        lease_expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )
    await outbox.in_state("forgotten", "consumed")


async def test_health_fails_and_names_the_shard_when_events_wait_that_nobody_holds(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    shard = await outbox.pool.fetchval("SELECT hashtext('s') & 31")
    async with outbox.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM delivery_shards WHERE shard = $1 FOR UPDATE", shard)
        worker = start_worker()
        await _holds(outbox, 31)
        await outbox.write_bare("waits", "s")
        await eventually(lambda: _delivery_is(worker, "failing"), "health fails", 20)
    await outbox.in_state("waits", "consumed")
    await eventually(lambda: _delivery_is(worker, "ok"), "health is well again")
    text = await asyncio.to_thread(worker.process.log.read_text)
    assert f"no worker holds their shards: {shard} of 32" in text


async def _holds(outbox: Outbox, shards: int) -> None:
    async def held() -> bool:
        return sum((await owners(outbox)).values()) == shards

    await eventually(held, f"{shards} shards are held")


async def _delivery_is(worker: ServiceProcess, state: str) -> bool:
    _, checks = await health(worker)
    return checks["delivery"] == state
