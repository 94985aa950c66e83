"""Delivery on a real Cluster: in order and whole, while a slot moves under it and when a primary dies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.conftest import REDIS_FLAVOUR
from tests.integration.cluster.conftest import Load, Streams, in_order, streams_of
from tests.integration.delivery.outbox_rows import Outbox, metric, opened
from tests.processes import ServiceProcess
from tests.redis_cluster import Cluster
from tests.waiting import eventually

from uniassist.streams.lanes import slot_of

StartOn = Callable[..., ServiceProcess]


async def _all_came(outbox: Outbox, streams: Streams, load: Load) -> None:
    """Each event that was written is on both its streams, in order, and none cost an attempt."""
    await outbox.all_consumed()
    expected = {session: list(range(1, count + 1)) for session, count in load.written.items()}
    assert {session: await streams.session(session) for session in load.written} == expected
    assert in_order(await streams.read()) == expected
    assert (await outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events")) == 0


async def test_a_slot_that_moves_under_load_loses_nothing(
    cluster: Cluster, start_on: StartOn, database_url: str
) -> None:
    worker = start_on("worker", cluster)
    slot = slot_of("{1}")
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)
    async with opened(database_url, source.url) as outbox, streams_of(cluster) as streams:
        await streams.join()
        load = Load(outbox)
        async with load.under_way():
            await load.consumed(3 * Load.SESSIONS)
            begun = load.turns
            held = threading.Event()

            def until_more_is_written() -> None:  # that it is between two nodes for a while
                if not held.is_set() and load.turns < begun + 24:
                    held.wait(0.05)

            moved = await asyncio.to_thread(cluster.move, slot, target, pause=until_more_is_written)
            assert moved > 4
            assert cluster.owner(slot) is target
            await load.more(48)
        await _all_came(outbox, streams, load)
    assert metric(worker.scraped(), "uniassist_delivery_reconciliations_total") >= 1
    assert metric(worker.scraped(), "uniassist_delivery_out_of_order_total") == 0


@pytest.mark.skipif(REDIS_FLAVOUR != "valkey", reason="only Valkey moves a slot at once")
async def test_a_slot_that_the_server_moves_at_once_loses_nothing_either(
    cluster: Cluster, start_on: StartOn, database_url: str
) -> None:
    start_on("worker", cluster)
    slot = slot_of("{1}")
    target = next(node for node in cluster.nodes if node is not cluster.owner(slot))
    async with opened(database_url, target.url) as outbox, streams_of(cluster) as streams:
        await streams.join()
        load = Load(outbox)
        async with load.under_way():
            await load.consumed(3 * Load.SESSIONS)
            await cluster.move_at_once(slot, target)
            await load.more(48)
        await _all_came(outbox, streams, load)


async def test_a_primary_that_dies_under_load_loses_nothing_that_was_taken(
    replicated: Cluster, start_on: StartOn, database_url: str
) -> None:
    start_on("worker", replicated)
    slot = slot_of("{0}")
    first = replicated.owner(slot)
    async with opened(database_url, first.url) as outbox, streams_of(replicated) as streams:
        await streams.join()
        load = Load(outbox)
        async with load.under_way():
            await load.consumed(3 * Load.SESSIONS)
            await asyncio.to_thread(first.process.kill)
            await eventually(lambda: replicated.owner(slot) is not first, "its replica was promoted", 30)
            await load.more(48)
        await outbox.all_consumed(deadline_seconds=40)
        for session_id, count in load.written.items():
            found = await streams.session(session_id)
            assert found == sorted(set(found)), session_id
            assert found[-1] == count, session_id
        for seqs in in_order(await streams.read()).values():
            assert seqs == sorted(set(seqs))
        assert (await outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events")) == 0
