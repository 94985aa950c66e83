"""Workers that die, stop and come back: nothing stays in processing, no session's order breaks."""

from __future__ import annotations

import asyncio
import time

from tests.integration.delivery.asking import get
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import Outbox, metric
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres

SMALL = {"OUTBOX_BATCH_SIZE": "50", "STREAM_CONSUMER_BATCH_SIZE": "50"}


async def some_consumed(outbox: Outbox, count: int) -> None:
    async def enough() -> bool:
        return bool((await outbox.states())["consumed"] >= count)

    await eventually(enough, f"{count} consumed", pause_seconds=0.005)


async def owners(outbox: Outbox) -> dict[str, int]:
    rows = await outbox.pool.fetch(
        "SELECT owner, count(*) AS n FROM delivery_shards WHERE owner IS NOT NULL AND lease_expires_at > now() "
        "GROUP BY owner"
    )
    return {row["owner"]: row["n"] for row in rows}


async def shared_by(outbox: Outbox, workers: int) -> dict[str, int]:
    async def shared() -> dict[str, int] | None:
        found = await owners(outbox)
        is_fair = len(found) == workers and sum(found.values()) == 32 and max(found.values()) <= -(-32 // workers)
        return found if is_fair else None

    return await eventually(shared, f"{workers} workers share the shards")


async def test_a_row_in_processing_of_a_worker_that_is_gone_is_rescued(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()
    await shared_by(outbox, 1)
    await outbox.write_bare("left", "s", status="processing", locked_by="nobody")
    row = await outbox.in_state("left", "consumed", deadline_seconds=20)
    assert row["attempts"] == 0
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_rescued_total") == 1


async def test_a_row_that_the_worker_itself_forgot_is_rescued(outbox: Outbox, start_worker: StartWorker) -> None:
    start_worker()
    [me] = await shared_by(outbox, 1)
    await outbox.pool.execute(
        "INSERT INTO outbox_events (event_id, session_id, payload, status, locked_by, lease_expires_at) "
        "VALUES ('forgotten', 's', '{}', 'processing', $1, now() + interval '2 seconds')",
        me,
    )
    await outbox.in_state("forgotten", "consumed", deadline_seconds=20)


async def test_a_worker_killed_under_load_is_replaced_by_the_other(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    first, second = start_worker(**SMALL), start_worker(**SMALL)
    await shared_by(outbox, 2)
    await outbox.write_many(40, 250)
    await some_consumed(outbox, 1000)
    first.kill()
    killed = time.monotonic()
    await outbox.all_consumed(deadline_seconds=40)
    assert time.monotonic() - killed <= 20, "generous: the machine is shared"
    assert await outbox.check_session_streams() == 40
    _, text = await get(second, "/metrics")
    assert metric(text, "uniassist_delivery_shards") == 32
    assert "their sessions ended" in second.process.log.read_text("utf-8"), "no lease was waited for"


async def test_a_worker_killed_again_and_again_under_load_loses_and_repeats_nothing(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker(UNIASSIST_STREAM_CONSUMER="stable", **SMALL)
    await outbox.write_many(30, 300)
    for consumed in (500, 2500, 4500, 7000):
        await some_consumed(outbox, consumed)
        worker.kill()
        await asyncio.to_thread(worker.start)
    await outbox.all_consumed(deadline_seconds=40)
    assert await outbox.check_session_streams() == 30


async def test_rows_that_a_crash_of_postgres_put_back_are_published_again(
    own_outbox: Outbox, start_own_worker: StartWorker, own_postgres: EmbeddedPostgres
) -> None:
    worker = start_own_worker(**SMALL)
    for _ in range(3):
        await own_outbox.write_many(20, 100, prefix=f"round{time.monotonic_ns()}")
        await asyncio.to_thread(own_postgres.process.kill)
        await asyncio.to_thread(own_postgres.start)
        await own_outbox.all_consumed(deadline_seconds=40)
    assert await own_outbox.check_session_streams() == 60
    assert await own_outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events") == 0
    assert worker.process.running


async def test_a_worker_stopped_past_its_lease_breaks_no_order_when_it_goes_on(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    first, second = start_worker(**SMALL), start_worker(**SMALL)
    await shared_by(outbox, 2)
    await outbox.write_many(40, 250)
    await some_consumed(outbox, 1000)
    first.process.pause()
    await shared_by(outbox, 1)
    await outbox.write_many(20, 20, prefix="meanwhile")
    first.process.resume()
    await outbox.all_consumed(deadline_seconds=40)
    assert await outbox.check_session_streams() == 60
    await shared_by(outbox, 2)

    async def lost() -> bool:
        _, text = await get(first, "/metrics")
        return metric(text, "uniassist_delivery_leases_lost_total") == 16

    await eventually(lost, "the stopped worker counts the 16 leases that it lost")
    _, text = await get(second, "/metrics")
    assert metric(text, "uniassist_delivery_leases_lost_total") == 0


async def test_three_workers_share_the_shards_and_keep_every_sessions_order(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    workers = [start_worker(**SMALL) for _ in range(3)]
    shards = await shared_by(outbox, 3)
    assert sorted(shards.values()) == [10, 11, 11]
    await outbox.write_many(60, 150)
    await outbox.all_consumed(deadline_seconds=40)
    assert await outbox.check_session_streams() == 60
    for worker in workers:
        assert await published_by(worker) > 500, "each had its part"


async def published_by(worker: ServiceProcess) -> float:
    _, text = await get(worker, "/metrics")
    return metric(text, "uniassist_delivery_published_total")


async def test_a_worker_that_is_asked_to_stop_drains_and_gives_its_shards_back_at_once(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    first, _second = start_worker(**SMALL), start_worker(**SMALL)
    await shared_by(outbox, 2)
    await outbox.write_many(40, 150)
    await some_consumed(outbox, 500)
    asked = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(first.stop))
    await shared_by(outbox, 1)
    taken_after_seconds = time.monotonic() - asked
    assert await stopping, "it went by itself"
    assert first.process.exit_code == 0
    assert taken_after_seconds < 3, "2 s, and one for a busy machine"
    assert await outbox.pool.fetchval("SELECT count(*) FROM delivery_workers") == 1
    await outbox.all_consumed(deadline_seconds=40)
    assert await outbox.check_session_streams() == 40


async def test_the_last_worker_leaves_nothing_in_processing_and_no_lease(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker(**SMALL)
    await outbox.write_many(40, 150)
    await some_consumed(outbox, 500)
    assert await asyncio.to_thread(worker.stop)
    states = await outbox.states()
    assert states["processing"] == 0
    assert states["pending"] > 0, "it stopped before the end"
    assert await owners(outbox) == {}
