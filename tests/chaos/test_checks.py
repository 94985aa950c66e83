"""What the run's checks call a finding, and what they don't."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable

import pytest

from tests.chaos.checks import Checks
from tests.chaos.sightings import Sightings, watched
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox, StreamEntry, opened
from tests.processes import ServiceProcess
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

EVENTS = 8


@pytest.fixture
async def outbox(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis, service: Callable[..., ServiceProcess]
) -> AsyncIterator[Outbox]:
    """A worker runs on it."""
    async with opened(own_postgres.url, own_redis.url) as outbox:
        service("worker", DATABASE_URL=own_postgres.url, REDIS_URL=own_redis.url)
        await outbox.write_turn("warm", 1)
        await outbox.all_consumed()
        yield outbox


@pytest.fixture
async def sightings(outbox: Outbox) -> AsyncIterator[Sightings]:
    async with watched(outbox) as sightings:
        yield sightings


@pytest.fixture
async def checks(outbox: Outbox, sightings: Sightings) -> Checks:
    checks = Checks(outbox, sightings)
    await checks.begin()
    return checks


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def may_read(outbox: Outbox, right: str) -> None:
    # The client's own acl_setuser would switch the user off.
    await outbox.redis.execute_command("ACL SETUSER", "default", f"{right}xreadgroup")  # type: ignore[no-untyped-call]


async def lost_unread_and_published_again(outbox: Outbox, checks: Checks) -> list[str]:
    """Events that a loss took from the streams unread, on them again, still unread."""

    async def published() -> bool:
        return bool(await outbox.redis.xlen(f"{PREFIX}s") == EVENTS)

    since = now()
    await may_read(outbox, "-")
    events = await outbox.write_turn("s", EVENTS)
    await eventually(published, "on the streams, unread")
    await checks.before_loss(since, "FLUSHALL")
    assert checks.findings.owed == EVENTS
    await eventually(published, "on the streams again, unread")
    return events


async def test_what_is_consumed_while_the_next_loss_is_prepared_is_not_owed(
    outbox: Outbox, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lost_unread_and_published_again(outbox, checks)
    look = outbox.session_stream

    async def consumed_meanwhile(session_id: str) -> list[StreamEntry]:
        await may_read(outbox, "+")
        await outbox.all_consumed()
        return await look(session_id)

    monkeypatch.setattr(outbox, "session_stream", consumed_meanwhile)
    await checks.before_loss(now(), "FLUSHALL")
    monkeypatch.undo()
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await checks.look(now())
    assert checks.findings.clean, checks.findings


async def test_what_was_given_before_the_loss_and_confirmed_after_it_is_not_owed(
    outbox: Outbox, checks: Checks
) -> None:
    events = await lost_unread_and_published_again(outbox, checks)
    async with outbox.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM outbox_events WHERE event_id = ANY ($1) ORDER BY id FOR UPDATE", events
        )
        await may_read(outbox, "+")

        async def given() -> bool:
            return bool((await outbox.redis.xpending(GLOBAL, GROUP))["pending"] == EVENTS)

        await eventually(given, "the group has them, and their confirmation waits for the lock")
        await checks.before_loss(now(), "FLUSHALL")
    await outbox.all_consumed()
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await checks.look(now())
    assert checks.findings.clean, checks.findings


async def test_an_event_that_was_swallowed_is_noticed(outbox: Outbox, checks: Checks) -> None:
    since = now()
    events = await outbox.write_turn("s", 3)
    await outbox.all_consumed()
    await outbox.redis.xdel(f"{PREFIX}s", "2-0")
    await checks.look(since)
    assert checks.findings.skipped == 1
    assert events[1] in checks.findings.examples[0]


async def test_an_event_on_the_global_stream_alone_is_noticed(outbox: Outbox, checks: Checks) -> None:
    await outbox.redis.xadd(GLOBAL, {"eventId": "s/1/x", "sessionId": "s", "streamKey": f"{PREFIX}s"})
    await checks.look(now())
    assert (checks.findings.astray, checks.findings.clean) == (1, False)


async def test_a_confirmation_from_before_the_settling_is_noticed(outbox: Outbox, checks: Checks) -> None:
    [event] = await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    await checks.look(now())
    assert checks.findings.clean
    await outbox.pool.execute("UPDATE outbox_events SET epoch = '0.lost' WHERE event_id = $1", event)
    await checks.look(now())
    await checks.look(now())
    assert checks.findings.stale == 1


async def test_a_shard_that_goes_back_to_an_older_epoch_is_noticed_though_it_is_soon_back(
    outbox: Outbox, checks: Checks
) -> None:
    now_in = await outbox.pool.fetchval("SELECT max(epoch) FROM delivery_shards")
    for epoch in ("00000000.older", now_in):
        await outbox.pool.execute("UPDATE delivery_shards SET epoch = $1 WHERE shard = 3", epoch)
    await checks.look(now())
    await checks.look(now())
    assert checks.findings.reverted == 1
    assert f"shard 3 from {now_in} to 00000000.older" in checks.findings.examples[0]


async def test_a_confirmation_before_the_event_was_published_in_its_epoch_is_noticed(
    outbox: Outbox, checks: Checks, sightings: Sightings
) -> None:
    [event] = await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    epoch = (await outbox.row(event))["epoch"]
    await outbox.pool.execute(
        "UPDATE outbox_events SET consumed_at = consumed_at - interval '1 second' WHERE event_id = $1", event
    )
    await eventually(lambda: sightings.first_ms(event, epoch), "seen on the global stream")
    await checks.look(now())
    await checks.look(now())
    assert (checks.findings.early, checks.findings.clean) == (1, False)


async def test_an_event_behind_its_successor_on_the_global_stream_is_noticed(
    outbox: Outbox, checks: Checks, sightings: Sightings
) -> None:
    for event in ("t/1/a", "t/3/c", "t/2/b", "t/3/c"):
        await outbox.redis.xadd(
            GLOBAL, {"eventId": event, "sessionId": "t", "streamKey": f"{PREFIX}t", "epoch": "00000009.x"}
        )
    await eventually(lambda: sightings.first_ms("t/2/b", "00000009.x"), "seen on the global stream")
    await checks.look(now())
    assert checks.findings.overtaken == 1


async def test_an_event_published_in_an_epoch_after_its_loss_is_noticed(
    outbox: Outbox, checks: Checks, sightings: Sightings
) -> None:
    await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    epoch = await outbox.pool.fetchval("SELECT max(epoch) FROM outbox_events")
    await checks.losing_epoch("PING")

    async def late() -> bool:
        await outbox.redis.xadd(
            GLOBAL, {"eventId": "s/2/late", "sessionId": "s", "streamKey": f"{PREFIX}s", "epoch": epoch}
        )
        return bool(sightings.undead)

    await eventually(late, "seen after the loss")
    await checks.look(now())
    assert checks.findings.undead > 0


async def test_a_confirmation_of_what_no_consumer_was_given_is_noticed(outbox: Outbox, checks: Checks) -> None:
    await may_read(outbox, "-")
    events = await outbox.write_turn("s", 2)

    async def published() -> bool:
        return bool(await outbox.redis.xlen(f"{PREFIX}s") == len(events))

    await eventually(published, "on the streams, unread")
    await checks.look(now())
    assert checks.findings.clean
    await outbox.pool.execute(
        "UPDATE outbox_events SET status = 'consumed', consumed_at = now() WHERE event_id = $1", events[0]
    )
    await checks.look(now())
    await checks.look(now())
    assert (checks.findings.unread, checks.findings.clean) == (1, False)
    await may_read(outbox, "+")


@pytest.mark.parametrize("is_first_trimmed", [True, False])
async def test_what_was_given_once_and_is_published_again_is_no_finding(
    outbox: Outbox, checks: Checks, sightings: Sightings, is_first_trimmed: bool
) -> None:
    """By a rescue, say, of what a dead worker hadn't written down as delivered."""
    [event] = await outbox.write_turn("s", 1)
    await outbox.all_consumed()
    epoch = await outbox.pool.fetchval("SELECT max(epoch) FROM outbox_events")
    await eventually(lambda: sightings.first_ms(event, epoch), "seen")
    await may_read(outbox, "-")
    await asyncio.sleep(0.002)  # entries of one millisecond are one to the check
    again = await outbox.redis.xadd(
        GLOBAL, {"eventId": event, "sessionId": "s", "streamKey": f"{PREFIX}s", "epoch": epoch}
    )
    if is_first_trimmed:
        await outbox.redis.xtrim(GLOBAL, minid=again, approximate=False)
    await checks.look(now())
    assert checks.findings.clean, checks.findings.examples
    await may_read(outbox, "+")


async def test_what_another_group_was_given_before_is_no_finding(outbox: Outbox, checks: Checks) -> None:
    await outbox.write_turn("s", EVENTS)
    await outbox.all_consumed()
    await may_read(outbox, "-")
    await checks.losing_group("XGROUP", "DESTROY", GLOBAL, GROUP)
    await outbox.redis.xgroup_create(GLOBAL, GROUP, "0")
    await checks.look(now())
    assert checks.findings.clean, checks.findings.examples
    await may_read(outbox, "+")
