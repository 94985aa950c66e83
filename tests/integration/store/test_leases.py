"""Leases and pauses after the database's clock was set back: none is longer than it can be."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import pytest
from tests.waiting import eventually

from uniassist.store import calls, context, erasures, plans, usage
from uniassist.store.server.pool import Pool, create_pool
from uniassist.store.wechat import media
from uniassist.store.wechat import people as wechat

LEASE_SECONDS = 0.2


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, application_name="test", max_size=2) as pool:
        yield pool


async def owe(pool: Pool, lease_ends: str) -> None:
    """A call `c` of provider `p`, under the lease of a gateway that died."""
    await pool.execute(
        "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode, "
        "idempotency_key, status) VALUES ('r', 't', 's', 'u', 'p', 'chat', 'normal', 'k', 'running')"
    )
    await pool.execute(
        "INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, lease_owner, "
        f"lease_expires_at) VALUES ('c', 'r', 's', 'p', 'invoke', '{{}}', 'dead', now() + interval '{lease_ends}')"
    )


async def take(pool: Pool, *known_providers: str, patience_seconds: float = 60) -> list[str]:
    found = await calls.take_over(
        pool,
        owner="me",
        lease_seconds=LEASE_SECONDS,
        limit=10,
        known_providers=known_providers,
        patience_seconds=patience_seconds,
    )
    return [call.call_id for call, _ in found]


async def test_a_dead_gateways_call_is_taken_over_though_the_clock_was_set_back(pool: Pool) -> None:
    await owe(pool, "2 minutes")

    async def taken() -> bool:
        return await take(pool, "p") == ["c"]

    assert not await taken(), "its owner may be alive, and has a lease's time to renew it"
    await eventually(taken, "the call is taken over", 10)


async def test_a_call_is_left_to_who_knows_its_provider(pool: Pool) -> None:
    """As while a providers file is rolled out; but nobody may know the provider any more."""
    await owe(pool, "-30 seconds")
    assert await take(pool, "q") == []
    assert await take(pool) == []
    assert await take(pool, "q", patience_seconds=20) == ["c"]
    await pool.execute("UPDATE provider_calls SET lease_expires_at = now() - interval '1 second'")
    assert await take(pool, "q", "p") == ["c"]


async def test_a_dead_senders_person_is_served_though_the_clock_was_set_back(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO wechat_people (openid, due_at, lease_owner, lease_expires_at) "
        "VALUES ('o', now(), 'dead', now() + interval '2 minutes')"
    )

    async def claimed() -> bool:
        return await wechat.claim_due(pool, "me", lease_seconds=LEASE_SECONDS, limit=10) == ["o"]

    assert not await claimed(), "its owner may be alive, and has a lease's time to renew it"
    await eventually(claimed, "the person is claimed", 10)


async def test_a_push_holds_its_person_no_longer_than_a_hold(pool: Pool) -> None:
    await pool.execute("INSERT INTO wechat_people (openid, due_at) VALUES ('o', now())")
    await pool.execute(
        "INSERT INTO wechat_pushes (push_key, openid, held_until) VALUES ('k', 'o', now() + interval '2 minutes')"
    )
    found = await wechat.read_snapshot(pool, "o")
    assert found is not None
    assert found.held_seconds == 0
    assert await wechat.claim_due(pool, "me", lease_seconds=LEASE_SECONDS, limit=10) == ["o"]


@pytest.mark.parametrize(
    ("failures", "due_in", "is_due"),
    [(1, "2 minutes", True), (1, "50 seconds", False), (0, "20 minutes", True), (0, "14 minutes", False)],
)
async def test_a_person_waits_for_no_longer_than_the_longest_pause(
    pool: Pool, failures: int, due_in: str, is_due: bool
) -> None:
    await pool.execute(
        f"INSERT INTO wechat_people (openid, due_at, failures) VALUES ('o', now() + interval '{due_in}', $1)",
        failures,
    )
    assert await wechat.sweep(pool, longest_pause_seconds=60, longest_account_pause_seconds=900) == int(is_due)
    assert await wechat.claim_due(pool, "me", lease_seconds=LEASE_SECONDS, limit=10) == ["o"] * is_due


@pytest.mark.parametrize("opens", ["message", "event"])
async def test_what_a_person_does_counts_though_the_last_time_is_still_to_come(
    pool: Pool, opens: wechat.Opens
) -> None:
    """Their five messages were used up, by a clock that was set back since."""
    await pool.execute(
        f"INSERT INTO wechat_people (openid, {opens}_at, {opens}_sends) "
        "VALUES ('o', now() + interval '2 minutes', 5)"
    )
    acted_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    await wechat.receive(pool, "k", "o", hold_seconds=6, acted_at=acted_at, opens=opens)
    row = await pool.fetchrow(f"SELECT {opens}_at AS at, {opens}_sends AS sends FROM wechat_people")
    assert row is not None
    assert (row["at"], row["sends"]) == (acted_at, 0)


@pytest.mark.parametrize(("due_in", "is_due"), [("2 minutes", True), ("30 seconds", False)])
async def test_a_medium_is_fetched_again_after_no_longer_than_its_pause(
    pool: Pool, due_in: str, is_due: bool
) -> None:
    for name in ("a", "b"):
        await pool.execute(
            "INSERT INTO wechat_media (openid, media_id, name, kind, attempts, due_at) "
            f"VALUES ('o', $1, $1, 'image', 1, now() + interval '{due_in}')",
            name,
        )
    one = await media.claim_medium(pool, "o", "a", lease_seconds=20)
    assert (one is not None) == is_due
    assert len(await media.claim_media(pool, lease_seconds=20, limit=10)) == int(is_due)


@pytest.mark.parametrize(("due_in", "is_due"), [("2 hours", True), ("50 minutes", False)])
async def test_a_provider_is_told_of_an_erasure_after_no_longer_than_the_longest_pause(
    pool: Pool, due_in: str, is_due: bool
) -> None:
    await pool.execute(
        "INSERT INTO provider_erasures (user_id, provider_id, subjects, due_at) "
        f"VALUES ('u', 'p', '{{}}', now() + interval '{due_in}')"
    )
    found = await erasures.claim(pool, limit=10, lease_seconds=120, longest_pause_seconds=3600)
    assert len(found) == int(is_due)


@pytest.mark.parametrize(("leased_for", "is_due"), [("2 minutes", True), ("20 seconds", False)])
async def test_steps_that_are_due_are_leased_for_no_longer_than_a_lease(
    pool: Pool, leased_for: str, is_due: bool
) -> None:
    await pool.execute(
        "INSERT INTO plans (user_id, subject, plan_id, body, ends_on, told_through, due_at, leased_until) "
        f"VALUES ('u', '', 'p', '{{}}', current_date, current_date, now(), now() + interval '{leased_for}')"
    )
    assert len(await plans.claim_due(pool, limit=10, lease_seconds=30)) == int(is_due)


async def test_a_context_that_was_kept_at_a_time_still_to_come_is_read_anew(pool: Pool) -> None:
    await context.read(pool, "ref", "u", proven=True)
    await pool.execute(
        "UPDATE user_context_cache SET updated_at = now() + interval '2 minutes', "
        'snapshot = \'{"profile": {"userId": "of before"}}\''
    )
    assert (await context.read(pool, "ref", "u", proven=True)).profile == {"userId": "u"}


async def test_a_window_of_usage_that_is_still_to_come_bounds_nobody(pool: Pool) -> None:
    hour = dt.timedelta(hours=1)
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    assert await usage.add(pool, "who", "inputs", now + 24 * hour, 100) == 100
    assert await usage.add(pool, "who", "inputs", now, 3) == 3
    assert await usage.add(pool, "who", "inputs", now - hour, 4) == 7, "a clock that is behind counts in the same"
