"""Leases of calls and of people after the database's clock was set back: cut to what they can be, then free."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.waiting import eventually

from uniassist.store import calls
from uniassist.store.server.pool import Pool, create_pool
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
