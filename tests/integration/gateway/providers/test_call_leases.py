"""Provider calls as rows: each provider's bound, leases beside locks, calls that nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.gateway.client import GatewayClient, decoded, message
from tests.integration.gateway.group_commits import OWNER, group_commit_of
from tests.integration.gateway.provider_entries import entry
from tests.providers import FakeProvider, fake_provider
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.gateway.calls import LEASE_SECONDS, MAX_ATTEMPTS, Calls
from uniassist.gateway.live.board import Board
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.kinds.uniassist import UniassistKind
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.ingest import Ingest
from uniassist.gateway.turns.turn import Turn
from uniassist.store import calls as store
from uniassist.store.ledger import Opening
from uniassist.store.server.pool import Pool
from uniassist.web.calling.client import JsonClient

MAX_WAITING = 2


@dataclass(frozen=True)
class Wired:
    """A gateway's group commit and calls, without its HTTP. Of its providers `stuck` hangs and `well` answers.

    Each takes one call at once.
    """

    pool: Pool
    registry: ProviderRegistry
    group_commit: GroupCommit
    calls: Calls

    async def ingest(self, text: str, through: GroupCommit | None = None) -> str:
        """The run's id."""
        sent = codec.convert(message(text), UnifiedUserInput)
        opening = Opening(sent.session_id, sent.user_id, False, sent.timestamp_ms)
        turn = Turn(sent.session_id, Ingest(sent, self.registry.catalogue, Caller(False)).decide, opening)
        answer = await (through or self.group_commit).submit(turn)
        return str(codec.decode(answer, dict)["runs"][0]["runId"])

    async def status(self, run_id: str) -> str:
        return str(await self.pool.fetchval("SELECT status FROM provider_runs WHERE run_id = $1", run_id))

    async def finished(self, run_id: str) -> None:
        async def is_over() -> bool:
            return await self.status(run_id) == "completed"

        await eventually(is_over, f"{run_id} is over")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as provider:
        yield provider


@pytest.fixture
async def wired(pool: Pool, provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Wired]:
    file = tmp_path / "providers.toml"
    stuck = entry("stuck", "stuck", provider.base_url("hung"), concurrency="1")
    file.write_text(stuck + entry("well", "well", provider.base_url("up"), concurrency="1"), "utf-8")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(JsonClient())
        kinds = {"uniassist": UniassistKind(client)}
        metrics = GatewayMetrics()
        registry = ProviderRegistry(
            str(file),
            base_urls={},
            tokens={},
            timeout_ms=60_000,
            kinds=kinds,
            on_checked=metrics.provider_checked,
        )
        calls = Calls(
            pool=pool,
            kinds=kinds,
            board=Board(),
            registry=registry,
            owner=OWNER,
            metrics=metrics,
            max_waiting=MAX_WAITING,
        )
        group_commit = group_commit_of(pool, lambda rows: calls.dispatch(rows.calls), lease_seconds=LEASE_SECONDS)
        group_commit.start()
        stack.push_async_callback(group_commit.stop)
        calls.start(group_commit)
        stack.push_async_callback(calls.stop, 0.0)
        yield Wired(pool, registry, group_commit, calls)


async def test_a_provider_that_hangs_takes_no_room_of_the_others(wired: Wired, provider: FakeProvider) -> None:
    """And those of its calls that found no room are only later, none is lost."""
    stuck = [await wired.ingest("stuck") for _ in range(8)]
    await wired.finished(await wired.ingest("well"))
    assert [await wired.status(run_id) for run_id in stuck] == ["pending"] * 8
    provider.let_go.set()
    for run_id in stuck[: 1 + MAX_WAITING]:
        await wired.finished(run_id)
    await wired.pool.execute("UPDATE provider_calls SET lease_expires_at = now()")
    for run_id in stuck:
        await wired.finished(run_id)
        assert len(provider.calls(run_id)) == 1


async def test_calls_without_room_are_not_taken_over_and_hold_up_no_other(wired: Wired) -> None:
    stuck = [await wired.ingest("stuck") for _ in range(8)]
    await wired.pool.execute(
        "UPDATE provider_calls SET lease_expires_at = now() - interval '1 hour' WHERE run_id = ANY ($1::text[])",
        stuck[1 + MAX_WAITING :],
    )
    dead = group_commit_of(wired.pool, owner="a-gateway-that-died", lease_seconds=0.0)
    dead.start()
    left = await wired.ingest("well", through=dead)
    await dead.stop()
    await wired.finished(left)
    attempts = await wired.pool.fetch("SELECT DISTINCT attempt FROM provider_calls")
    assert [row["attempt"] for row in attempts] == [1]


async def test_a_call_that_outlived_five_gateways_is_answered_without_its_provider(
    wired: Wired, provider: FakeProvider
) -> None:
    """What kills gateways isn't tried for ever."""
    dead = group_commit_of(wired.pool, owner="a-gateway-that-died")
    dead.start()
    run_id = await wired.ingest("well", through=dead)
    await dead.stop()
    await wired.pool.execute(
        "UPDATE provider_calls SET attempt = $1, lease_expires_at = now() - interval '1 second'", MAX_ATTEMPTS
    )

    async def is_over() -> bool:
        return await wired.status(run_id) == "failed"

    await eventually(is_over, "the run is over")
    assert provider.calls(run_id) == []


async def test_a_renewal_waits_for_no_row_that_is_being_answered(pool: Pool) -> None:
    """Waiting for it while holding others is one half of a deadlock."""
    await owe(pool, "call-1", "call-2", "call-3")
    async with pool.acquire() as answering, answering.transaction():
        await answering.execute("SELECT FROM provider_calls WHERE call_id = 'call-2' FOR UPDATE")
        async with asyncio.timeout(3):
            await store.renew(pool, ["call-3", "call-2", "call-1"], owner=OWNER, lease_seconds=60)
        rows = await answering.fetch("SELECT call_id FROM provider_calls WHERE lease_expires_at > now() ORDER BY 1")
    assert [row["call_id"] for row in rows] == ["call-1", "call-3"]
    await store.renew(pool, ["call-2"], owner="someone-else", lease_seconds=60)
    assert await pool.fetchval("SELECT lease_expires_at < now() FROM provider_calls WHERE call_id = 'call-2'")


async def owe(pool: Pool, *call_ids: str) -> None:
    """Calls of one run, their leases just over."""
    await pool.execute(
        "INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,"
        " idempotency_key, status) VALUES ('run', 't', 's', 'u', 'plan', 'async', 'normal', 't:plan', 'pending')"
    )
    await pool.execute(
        "INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, lease_owner,"
        " lease_expires_at) SELECT call_id, 'run', 's', 'plan', 'invoke', '{}', $2, now() - interval '1 second'"
        " FROM unnest($1::text[]) AS call_id",
        call_ids,
        OWNER,
    )


@pytest.mark.parametrize("begun_anew", [False, True])
async def test_a_call_whose_session_was_deleted_is_forgotten(
    wired: Wired, provider: FakeProvider, begun_anew: bool
) -> None:
    """Also when somebody else took the session's id since: they get nothing of it."""
    run_id = await wired.ingest("stuck")
    await eventually(lambda: provider.calls(run_id), "the provider was called")
    session_id = await wired.pool.fetchval("DELETE FROM sessions RETURNING session_id")
    if begun_anew:
        await wired.pool.execute("INSERT INTO sessions (session_id, user_id) VALUES ($1, 'stranger')", session_id)
    provider.let_go.set()

    async def is_gone() -> bool:
        return not await wired.pool.fetchval("SELECT count(*) FROM provider_calls")

    await eventually(is_gone, "the call is gone")
    assert await wired.status(run_id) == "failed"
    said = await wired.pool.fetchval("SELECT count(*) FROM timeline_events WHERE kind = 'interaction'")
    assert said == 0


async def test_a_call_that_another_gateway_has_is_not_forgotten(pool: Pool) -> None:
    await owe(pool, "call-1")
    await store.forget(pool, "call-1", owner="someone-else")
    assert await pool.fetchval("SELECT status FROM provider_runs") == "pending"
    assert await pool.fetchval("SELECT count(*) FROM provider_calls") == 1


async def test_hundreds_of_calls_of_one_provider_leave_connections_for_another(
    start_gateway: Callable[..., GatewayClient], provider: FakeProvider, tmp_path: Path
) -> None:
    """As many as its `concurrency` allows, all of them open at once."""
    many, opened = 520, 0

    async def never_answers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await forever.wait()
        writer.close()

    forever = asyncio.Event()
    server = await asyncio.start_server(never_answers, "127.0.0.1", 0, backlog=many)
    port = server.sockets[0].getsockname()[1]
    file = tmp_path / "providers.toml"
    stuck = entry("stuck", "stuck", f"http://127.0.0.1:{port}", concurrency="600")
    file.write_text(stuck + entry("well", "well", provider.base_url("up")), "utf-8")
    gateway = start_gateway(
        UNIASSIST_PROVIDERS_FILE=str(file),
        GATEWAY_PROVIDER_TIMEOUT_MS="60000",
        GATEWAY_RATE_LIMIT_PER_USER="0",
    )
    try:
        for _ in range(many // 40):
            await asyncio.gather(*(gateway.ingest(message("stuck")) for _ in range(40)))
        await eventually(lambda: opened >= many, "all its calls are out")
        sent = message("well")
        answer = await gateway.post("/v0/ingest", sent)
        await gateway.when_over(sent["sessionId"], decoded(answer)["runs"][0]["runId"])
    finally:
        forever.set()
        server.close()
