"""What keeps the engine small beside running workers: trimming, retention, vanished entries; and its metrics."""

from __future__ import annotations

import pytest
from tests.integration.delivery.asking import get
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, PREFIX, Outbox, metric
from tests.integration.delivery.test_delivery_rescue import some_consumed
from tests.waiting import eventually

from uniassist.streams import epoch as epochs

_OLD_ROWS = """
INSERT INTO outbox_events (event_id, session_id, payload, status, created_at, consumed_at)
SELECT $1 || n, 's', '{}', $2, now() - $4::interval, CASE WHEN $2 = 'consumed' THEN now() - $4::interval END
FROM generate_series(1, $3::integer) n
"""


async def write_aged(outbox: Outbox, name: str, status: str, count: int, age: str) -> None:
    await outbox.pool.execute(_OLD_ROWS.replace("$4", f"'{age}'"), name, status, count)


async def test_consumed_rows_past_their_retention_are_deleted_and_no_others(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await write_aged(outbox, "early-dead-", "dead_letter", 10, "3 hours")
    await write_aged(outbox, "old-", "consumed", 12_000, "2 hours")
    await write_aged(outbox, "dead-", "dead_letter", 10, "2 hours")
    await write_aged(outbox, "young-", "consumed", 100, "30 minutes")
    worker = start_worker(OUTBOX_RETENTION_HOURS="1")

    async def only_young() -> bool:
        return bool((await outbox.states())["consumed"] == 100)

    await eventually(only_young, "the old ones are deleted")
    assert await outbox.states() == {"consumed": 100, "dead_letter": 20}
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_pruned_total") == 12_000


async def test_without_a_retention_every_row_stays(outbox: Outbox, start_worker: StartWorker) -> None:
    await write_aged(outbox, "old-", "consumed", 10, "1000 days")
    worker = start_worker(OUTBOX_RETENTION_HOURS="0")
    await outbox.write_turn("s", 1)
    await eventually(lambda: "took shards" in worker.process.log.read_text(), "it works")
    await outbox.write_turn("t", 1)

    async def done() -> bool:
        return bool((await outbox.states())["consumed"] == 12)

    await eventually(done, "the new ones are consumed")


async def test_the_global_stream_is_trimmed_to_what_every_group_has_consumed(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()

    async def begun() -> bool:
        return bool(await outbox.redis.exists(GLOBAL))

    await eventually(begun, "the worker made the stream")
    await outbox.redis.xgroup_create(GLOBAL, "slow", id="0")
    await outbox.write_many(10, 200)
    await outbox.all_consumed()
    assert await outbox.redis.xlen(GLOBAL) == 2000
    await outbox.redis.xgroup_destroy(GLOBAL, "slow")

    async def trimmed() -> bool:
        return await outbox.redis.xlen(GLOBAL) <= 100

    await eventually(trimmed, "trimmed to a node at most", deadline_seconds=25)

    async def counted() -> bool:
        _, text = await get(worker, "/metrics")
        return metric(text, "uniassist_delivery_stream_trimmed_total") >= 1900

    await eventually(counted, "the worker has heard how many it trimmed, and counted them")
    assert await outbox.check_session_streams() == 10, "session streams have a cap of their own"


async def test_delivered_events_whose_entries_vanished_are_published_again(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()
    [event] = await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await outbox.redis.xtrim(GLOBAL, maxlen=0, approximate=False)
    await as_if_delivered(outbox, event)
    await outbox.in_state(event, "consumed", deadline_seconds=25)
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_returned_by_reconciliation_total") == 1
    assert len(await outbox.session_stream("s")) == 1


async def as_if_delivered(outbox: Outbox, event_id: str) -> None:
    epoch = await epochs.read(outbox.redis, GLOBAL)
    assert epoch is not None
    await outbox.pool.execute(
        "UPDATE outbox_events SET status = 'delivered', epoch = $2, delivered_at = now() - interval '1 minute' "
        "WHERE event_id = $1",
        event_id,
        epoch.name,
    )


@pytest.mark.parametrize(("asked", "hours"), [(None, 7 * 24), ("2", 2)])
async def test_session_streams_expire_and_are_renewed_by_each_event(
    outbox: Outbox, start_worker: StartWorker, asked: str | None, hours: int
) -> None:
    start_worker(**({} if asked is None else {"STREAM_SESSION_HOURS": asked}))
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    assert hours * 3600 - 120 < await outbox.redis.ttl(f"{PREFIX}s") <= hours * 3600
    await outbox.redis.expire(f"{PREFIX}s", 100)
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    assert await outbox.redis.ttl(f"{PREFIX}s") > 100
    assert await outbox.redis.ttl(GLOBAL) == -1


async def test_entries_of_others_on_the_global_stream_are_passed_over_and_counted(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await outbox.redis.xadd(GLOBAL, {"hello": "world"})
    await outbox.redis.xadd(GLOBAL, {"eventId": "of no row"})
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()

    async def acknowledged() -> bool:
        return bool((await outbox.redis.xpending(GLOBAL, "ua-delivery"))["pending"] == 0)

    await eventually(acknowledged, "nothing is left pending")
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_foreign_entries_total") == 1


async def test_the_metrics_tell_what_happened(outbox: Outbox, start_worker: StartWorker) -> None:
    await write_aged(outbox, "dead-", "dead_letter", 3, "2 hours")
    worker = start_worker()
    await outbox.write_many(10, 30)
    await some_consumed(outbox, 300)
    await outbox.pool.execute("UPDATE delivery_control SET paused_at = now()")

    async def paused() -> bool:
        _, text = await get(worker, "/metrics")
        return metric(text, "uniassist_delivery_paused") == 1

    # A worker learns of it when it renews its lease: what comes sooner may still be published.
    await eventually(paused, "the worker knows that it is paused")
    await outbox.pool.execute(
        "INSERT INTO outbox_events (event_id, session_id, payload, created_at) "
        "VALUES ('waits', 's', '{}', now() - interval '1 hour')"
    )

    async def seen() -> str | None:
        _, text = await get(worker, "/metrics")
        return text if metric(text, "uniassist_outbox_oldest_seconds") >= 3600 else None

    text = await eventually(seen, "the gauges were looked at again", deadline_seconds=25)
    for name, value in {
        "uniassist_delivery_published_total": 300,
        "uniassist_delivery_consumed_total": 300,
        "uniassist_delivery_seconds_count": 300,
        "uniassist_delivery_shards": 32,
        "uniassist_delivery_paused": 1,
        "uniassist_delivery_awaiting": 0,
        "uniassist_delivery_dead_letters_total": 0,
        "uniassist_delivery_leases_lost_total": 0,
        "uniassist_delivery_reconciliations_total": 0,
        "uniassist_delivery_group_recoveries_total": 0,
    }.items():
        assert metric(text, name) == value, name
    assert metric(text, "uniassist_delivery_seconds_sum") > 0
    assert metric(text, "uniassist_delivery_seconds_bucket", le="+Inf") == 300
    assert metric(text, "uniassist_outbox_backlog", status="dead_letter") == 3
    assert metric(text, "uniassist_outbox_backlog", status="pending") == 1
    assert metric(text, "uniassist_outbox_backlog", status="processing") == 0
