"""What events weigh: a worker's memory is bounded by bytes, not by rows, from its first claim on."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from tests.integration.delivery.by_hand import giving_back, worker_by_hand
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import Outbox
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.store import delivery as store

MIB = 1024 * 1024
BODY_BYTES = 95 * MIB // 100
EPOCH = "00000001.e"


def peak_mib(worker: ServiceProcess) -> int:
    """The most memory that it has had so far, idle interpreter included."""
    [line] = [
        line
        for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) // 1024


async def write_heavy(outbox: Outbox, rows: int) -> None:
    """In ten sessions, as incompressible as text of hexadecimal digits is, and as an operator's rows."""
    await outbox.pool.execute(
        "INSERT INTO outbox_events (event_id, session_id, payload) "
        "SELECT 'heavy-' || n, 's' || n % 10, to_jsonb(repeat(md5(n::text), $2 / 32)) "
        "FROM generate_series(1, $1::integer) n",
        rows,
        BODY_BYTES,
    )


@pytest.mark.slow
@pytest.mark.parametrize("light", [0, 2000])
async def test_a_backlog_of_bodies_of_a_mebibyte_fits_into_a_small_memory(
    outbox: Outbox, start_worker: StartWorker, light: int
) -> None:
    if light:
        await outbox.write_many(100, light // 100)
    await write_heavy(outbox, 150)
    worker = start_worker()
    await outbox.all_consumed(90)
    assert peak_mib(worker) < 320


async def test_entries_left_unread_fit_into_a_small_memory_after_a_start(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.xgroup_create("uniassist:timeline:all", "ua-delivery", id="0", mkstream=True)
    for n in range(150):
        await outbox.redis.xadd("uniassist:timeline:all", {"eventId": f"x{n}", "payload": f"{n}" + "x" * MIB})
    worker = start_worker()
    [event] = await outbox.write_turn("s", 1)
    await outbox.in_state(event, "consumed", 60)
    assert peak_mib(worker) < 200


async def test_a_claim_takes_the_first_that_fit_and_one_at_least(outbox: Outbox, database_url: str) -> None:
    """By their text, however small they lie on the disk, and never one behind those that it leaves."""
    bodies = ["x" * 700_000, "y" * 700_000, "z", "z" * 900_000, "a"]
    for n, body in enumerate(bodies):
        await outbox.write_bare(f"e{n}", "s", body)
    await outbox.pool.execute("INSERT INTO outbox_events (event_id, session_id) VALUES ('without a body', 's')")
    async with worker_by_hand(database_url, outbox) as hand:
        await hand.take()
        await store.fence(hand.pool, "w")
        await giving_back(hand.pool, "w").settle(hand.held, epoch=EPOCH)
        held = {row["shard"]: row["token"] for row in await hand.pool.fetch("SELECT * FROM delivery_shards")}

        async def claimed(room: int) -> list[str]:
            rows = await store.claim(hand.pool, "w", held, epoch=EPOCH, limit=10, room_bytes=room)
            assert all(row.body is None or json.loads(row.body) in bodies for row in rows)
            return [row.event_id for row in rows]

        assert await claimed(1000) == ["e0"]
        assert await claimed(700_100) == ["e1", "e2", "e3"]
        assert await claimed(1000) == ["e4", "without a body"]


async def test_a_row_that_cannot_be_read_fails_alone(
    own_outbox: Outbox, start_own_worker: StartWorker, own_postgres: EmbeddedPostgres
) -> None:
    """Its long value is gone from a damaged disk, and so fails every statement that reads it."""
    outbox = own_outbox
    before = await outbox.write_turn("s", 1)
    await outbox.write_bare("poison", "s", secrets.token_hex(50_000), max_attempts=2)
    after = await outbox.write_turn("s", 2)
    others = await outbox.write_turn("other", 5)
    path = await outbox.pool.fetchval(
        "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'outbox_events'"
    )
    await outbox.pool.expire_connections()
    own_postgres.stop()
    values = own_postgres.data_directory / path
    values.write_bytes(bytes(values.stat().st_size))
    own_postgres.start()
    start_own_worker(OUTBOX_BACKOFF_BASE_MS="50", OUTBOX_BACKOFF_MAX_MS="100")

    async def reason() -> str | None:
        found: str | None = await outbox.pool.fetchval(
            "SELECT last_error FROM outbox_events WHERE event_id = 'poison' AND status = 'dead_letter'"
        )
        return found

    assert "missing chunk" in await eventually(reason, "a dead letter")

    async def others_are_consumed() -> bool:
        states = await outbox.states()
        return states == {"dead_letter": 1, "consumed": len(before) + len(after) + len(others)}

    await eventually(others_are_consumed, "all others are consumed")
    assert await outbox.pool.fetchval("SELECT sum(attempts) FROM outbox_events WHERE status = 'consumed'") == 0
