"""What is to be given back may be much, or slow, or refuse: it goes in slices, and without a row that refuses."""

from __future__ import annotations

import pytest
from tests.integration.delivery.asking import get, health
from tests.integration.delivery.by_hand import giving_back, worker_by_hand
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, Outbox, metric
from tests.integration.delivery.test_delivery_rescue import shared_by
from tests.waiting import eventually

from uniassist.delivery import shard_leases
from uniassist.delivery.metrics import DeliveryMetrics
from uniassist.delivery.shard_leases import ShardLeases
from uniassist.errors import Outage
from uniassist.store import delivery as store
from uniassist.store.server import pool as pools

OLD = "00000001.abc"


async def slow_to_give_back(outbox: Outbox, milliseconds: float) -> None:
    """A database that takes so long for each row, as on a slow disk with a trigger of the operator's."""
    await outbox.pool.execute(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_sleep({milliseconds / 1000}); RETURN NEW; END $$"
    )
    await outbox.pool.execute(
        "CREATE TRIGGER linger BEFORE UPDATE ON outbox_events FOR EACH ROW "
        "WHEN (OLD.status IN ('processing', 'delivered') AND NEW.status = 'pending') EXECUTE FUNCTION linger()"
    )


async def refuse(outbox: Outbox, condition: str) -> None:
    await outbox.pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$"
    )
    await outbox.pool.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON outbox_events FOR EACH ROW "
        f"WHEN (OLD.event_id LIKE 'poison%' AND {condition}) EXECUTE FUNCTION refuse()"
    )


async def delivered_in_another_epoch(outbox: Outbox) -> None:
    await outbox.pool.execute(
        "UPDATE outbox_events SET status = 'delivered', delivered_at = now(), epoch = $1", OLD
    )


async def test_settling_fits_a_timeout_that_it_would_exceed_as_a_whole_and_nothing_is_claimed_before_its_end(
    outbox: Outbox, database_url: str
) -> None:
    await outbox.write_many(10, 60)
    await delivered_in_another_epoch(outbox)
    await slow_to_give_back(outbox, 2)
    settings = {"enable_seqscan": "off", "synchronous_commit": "off"}
    async with (
        worker_by_hand(database_url, outbox) as hand,
        await pools.create_pool(
            database_url, application_name="hurried", command_timeout_seconds=0.4, settings=settings
        ) as hurried,
    ):
        await hand.take()
        held = await store.fence(hand.pool, "w")
        settling = giving_back(hurried, "w")
        sweep, timeouts, steps = settling.sweep("settle", held, epoch="00000002.abc"), 0, 0
        is_done = False
        while not is_done:
            try:
                is_done = await sweep.step()
            except Outage:
                timeouts += 1
                sweep = settling.sweep("settle", held, epoch="00000002.abc")  # as whoever comes after a crash
                continue
            steps += 1
            claimed = await store.claim(hand.pool, "w", held, epoch="00000002.abc", limit=1)
            assert bool(claimed) == is_done
        assert timeouts > 0
        assert steps > 3
    assert (await outbox.states())["pending"] == 599


async def test_a_worker_that_dies_amid_settling_has_published_nothing_and_the_next_one_goes_on(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.write_many(20, 100)
    await delivered_in_another_epoch(outbox)
    await slow_to_give_back(outbox, 1)
    worker = start_worker()

    async def some_are_pending() -> bool:
        return bool((await outbox.states())["delivered"] < 2000)

    await eventually(some_are_pending, "a slice of the settling is done", pause_seconds=0.01)
    worker.kill()
    assert (await outbox.states())["delivered"] > 0
    assert await outbox.redis.xlen(GLOBAL) == 0
    worker.start()
    await outbox.all_consumed()
    assert await outbox.check_session_streams() == 20


async def test_a_shard_counts_as_held_when_its_rescue_is_over_and_not_before(
    outbox: Outbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rescue goes on from heartbeat to heartbeat, with no pause between them."""
    monkeypatch.setattr(shard_leases, "RESCUE_SECONDS", 0.002)
    monkeypatch.setattr("uniassist.delivery.giving_back.FIRST_SLICE", 1)
    for number in range(40):
        await outbox.write_bare(f"left-{number}", "s", status="processing", locked_by="nobody")
    beats = 0
    async with await store.create_pool(database_url) as pool:
        leases = ShardLeases(pool, giving_back(pool, "w"), DeliveryMetrics(), worker="w", heartbeat_seconds=1)
        while not leases.held:
            pause_seconds = await leases._heartbeat_once()
            beats += 1
            assert (pause_seconds > 0) == bool(leases.held)
    assert beats > 1
    assert await outbox.states() == {"pending": 40}


async def test_a_rescue_that_takes_longer_than_a_lease_costs_none_and_others_are_delivered_meanwhile(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker()
    await shared_by(outbox, 1)
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await slow_to_give_back(outbox, 1.5)
    await outbox.pool.execute(
        "INSERT INTO outbox_events (event_id, session_id, payload, status, locked_by) "
        "SELECT 'left-' || n, 'left-' || n % 50, '{}', 'processing', 'nobody' FROM generate_series(1, 3200) n"
    )
    [event] = await outbox.write_turn("s", 1)
    await outbox.in_state(event, "consumed")
    assert (await outbox.states())["processing"] > 0, "the rescue goes on"
    await outbox.all_consumed()
    _, text = await get(worker, "/metrics")
    assert metric(text, "uniassist_delivery_leases_lost_total") == 0
    assert metric(text, "uniassist_delivery_rescued_total") == 3200


REFUSALS = {
    "to be pending": ("NEW.status = 'pending'", {"consumed"}, "giving it back"),
    "to be pending or failed": ("NEW.status IN ('pending', 'failed')", {"dead_letter"}, "giving it back"),
    "everything": ("true", {"delivered", "processing"}, None),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_row_that_refuses_to_be_given_back_is_left_out_alone(
    outbox: Outbox, start_worker: StartWorker, name: str
) -> None:
    condition, ends, reason = REFUSALS[name]
    turn = await outbox.write_turn("s", 2)
    for poison in ("poison-1", "poison-2"):
        await outbox.write_bare(poison, "s")
    await delivered_in_another_epoch(outbox)
    await outbox.write_bare("left", "t", status="processing", locked_by="nobody")
    await outbox.write_bare("poison-3", "t", status="processing", locked_by="nobody")
    await refuse(outbox, condition)
    after = [*await outbox.write_turn("s", 2), *await outbox.write_turn("t", 2)]
    worker = start_worker(OUTBOX_BACKOFF_BASE_MS="50", OUTBOX_BACKOFF_MAX_MS="100")
    for event in (*turn, "left", *after):
        assert (await outbox.in_state(event, "consumed"))["attempts"] == 0
    for poison in ("poison-1", "poison-2", "poison-3"):

        async def has_ended(poison: str = poison) -> bool:
            return (await outbox.row(poison))["status"] in ends

        await eventually(has_ended, f"{poison} has ended")
        row = await outbox.row(poison)
        assert reason is None or row["last_error"].startswith(reason)
    status, checks = await health(worker)
    assert (status, set(checks.values())) == (200, {"ok"}), checks
    [later] = await outbox.write_turn("s", 1)
    await outbox.in_state(later, "consumed")


async def test_a_row_that_refuses_every_write_while_it_waits_is_passed_over(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    before = await outbox.write_turn("s", 1)
    await outbox.write_bare("poison", "s")
    after = [*await outbox.write_turn("s", 2), *await outbox.write_turn("t", 2)]
    await refuse(outbox, "true")
    worker = start_worker()
    for event in (*before, *after):
        await outbox.in_state(event, "consumed")
    assert (await outbox.row("poison"))["status"] == "pending"
    assert "a row takes no writes at all" in worker.process.log.read_text("utf-8")
    status, checks = await health(worker)
    assert (status, set(checks.values())) == (200, {"ok"}), checks


@pytest.mark.parametrize("at", ["now() - interval '1 minute'", "now() + interval '1 hour'", "'infinity'", "NULL"])
async def test_what_vanished_is_found_overdue_whenever_it_says_it_was_delivered_and_whatever_refuses(
    outbox: Outbox, database_url: str, at: str
) -> None:
    await outbox.write_turn("s", 3)
    await outbox.write_bare("poison", "s", max_attempts=1)
    await outbox.pool.execute(f"UPDATE outbox_events SET status = 'delivered', delivered_at = {at}")
    await refuse(outbox, "NEW.status = 'pending'")
    async with worker_by_hand(database_url, outbox) as hand:
        await hand.take()
        assert await giving_back(hand.pool, "w").overdue(older_than_seconds=20) == 3
    assert await outbox.states() == {"pending": 3, "dead_letter": 1}
    assert (await outbox.row("poison"))["status"] == "dead_letter"
