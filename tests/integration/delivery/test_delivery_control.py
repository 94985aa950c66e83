"""An operator pauses delivery and lets it go on."""

from __future__ import annotations

import datetime as dt

from tests.integration.delivery.asking import uniassist
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import Outbox
from tests.integration.delivery.test_delivery_rescue import SMALL, some_consumed
from tests.waiting import eventually

from uniassist.store import delivery
from uniassist.store.server.pool import connect


async def heartbeats(outbox: Outbox, seconds: float) -> None:
    """Until every lease was renewed for so long."""

    async def oldest() -> dt.datetime:
        found: dt.datetime = await outbox.pool.fetchval("SELECT min(lease_expires_at) FROM delivery_shards")
        return found

    began = await oldest()

    async def renewed() -> bool:
        return await oldest() >= began + dt.timedelta(seconds=seconds)

    await eventually(renewed, f"leases renewed for {seconds} s")


async def test_a_pause_stops_delivery_and_holds_nothing(
    outbox: Outbox, start_worker: StartWorker, database_url: str
) -> None:
    worker = start_worker(**SMALL)
    await outbox.write_many(40, 500)
    await some_consumed(outbox, 500)
    async with await connect(database_url) as connection:
        await delivery.pause(connection, who="test", reason=None)

    await eventually(lambda: "delivery paused" in worker.process.log.read_text(), "the worker has heard of it")
    await heartbeats(outbox, 2)  # a claim that was under way is given back

    async def at_rest() -> bool:
        states = await outbox.states()
        return states["processing"] == states["delivered"] == 0

    await eventually(at_rest, "nothing is held", deadline_seconds=20)
    waiting = (await outbox.states())["pending"]
    assert waiting > 0, "it paused before the end"
    await outbox.write_turn("meanwhile", 2)
    await heartbeats(outbox, 2)
    assert (await outbox.states())["pending"] == waiting + 2
    assert (await uniassist("outbox", "resume", database_url=database_url)).code == 0
    await outbox.all_consumed()
    assert await outbox.check_session_streams() == 41
