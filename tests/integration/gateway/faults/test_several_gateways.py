"""Several gateways on one database: one order, runs that outlive their gateway, nothing lost to a SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.integration.gateway.client import (
    DAY_MS,
    GatewayClient,
    Json,
    interactions,
    message,
    now_ms,
    run_states,
    seqs,
    unique,
)
from tests.processes import ServiceProcess
from tests.providers import FakeProvider, fake_provider
from tests.waiting import eventually

from uniassist.web.calling.client import Answer, CallFailed

Start = Callable[..., ServiceProcess]
Connect = Callable[[ServiceProcess], GatewayClient]


@pytest.fixture
def two(
    gateway: GatewayClient,
    service: Start,
    connect: Connect,
    shared_database_url: str,
    shared_redis_url: str,
    providers_file: Path,
) -> tuple[GatewayClient, GatewayClient]:
    """The shared gateway and another one beside it."""
    other = service(
        "gateway",
        DATABASE_URL=shared_database_url,
        REDIS_URL=shared_redis_url,
        UNIASSIST_PROVIDERS_FILE=str(providers_file),
    )
    return gateway, connect(other)


async def test_inputs_to_the_same_sessions_through_two_gateways_keep_one_order(
    two: tuple[GatewayClient, GatewayClient],
) -> None:
    sessions = [unique("busy") for _ in range(3)]
    sent = [message(f"计划 {n}", sessionId=sessions[n % 3]) for n in range(30)]
    acks = await asyncio.gather(*(two[n % 2].ingest(each) for n, each in enumerate(sent)))
    for ack in acks:
        for run in ack["runs"]:
            await two[0].when_over(ack["sessionId"], run["runId"])
    for session_id in sessions:
        events = await two[0].timeline(session_id)
        assert seqs(events) == list(range(1, len(events) + 1))
        assert events == await two[1].timeline(session_id)
        inbound = Counter(event["traceId"] for event in events if event["kind"] == "inbound")
        assert inbound == Counter(each["traceId"] for each in sent if each["sessionId"] == session_id)
        for ack in acks:
            if ack["sessionId"] == session_id:
                following = [event["traceId"] for event in events if event["seq"] > ack["stream"]["cursor"]]
                assert following[0] == ack["traceId"]


async def test_one_key_through_two_gateways_makes_one_input(two: tuple[GatewayClient, GatewayClient]) -> None:
    for _ in range(5):
        sent, headers = message("你好"), {"idempotency-key": unique("key")}
        answers = await asyncio.gather(*(two[n % 2].post("/v0/ingest", sent, headers) for n in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert len(await two[0].timeline(sent["sessionId"])) == 4


async def test_two_gateways_open_one_successor(two: tuple[GatewayClient, GatewayClient]) -> None:
    for _ in range(5):
        first = message("你好", timestampMs=now_ms() - DAY_MS - 60_000)
        await two[0].ingest(first)
        again = [message("又来了", sessionId=first["sessionId"]) for _ in range(8)]
        acks = await asyncio.gather(*(two[n % 2].ingest(each) for n, each in enumerate(again)))
        [successor] = {ack["sessionId"] for ack in acks}
        assert successor != first["sessionId"]
        events = await two[1].timeline(successor)
        assert seqs(events) == list(range(1, len(events) + 1))
        assert [event["kind"] for event in events].count("inbound") == 8


@pytest.mark.slow
async def test_a_run_outlives_the_gateway_that_began_it(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    """The lease of the dead gateway has to run out: this test takes as long as that."""
    with fake_provider() as provider:
        env = {
            "DATABASE_URL": database_url,
            "REDIS_URL": shared_redis_url,
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": provider.base_url("hung"),
            "GATEWAY_PROVIDER_TIMEOUT_MS": "30000",
        }
        doomed = service("gateway", **env)
        sent = message("帮我做个计划", raw={"n": 1e20})
        run_id = (await connect(doomed).ingest(sent))["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        doomed.kill()
        heir = connect(service("gateway", **env))
        await eventually(lambda: len(provider.calls(run_id)) == 2, "the call was taken over")
        provider.let_go.set()
        events = await heir.when_over(sent["sessionId"], run_id)
        _answered_once(provider, events, run_id)


@pytest.mark.slow
async def test_a_run_waits_for_a_gateway_that_knows_its_provider(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    """As while a new providers file is rolled out: who doesn't have the entry leaves the call alone."""
    with fake_provider() as provider, psycopg.connect(database_url, autocommit=True) as connection:
        servers = {"DATABASE_URL": database_url, "REDIS_URL": shared_redis_url}
        env = servers | {
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": provider.base_url("hung"),
            "GATEWAY_PROVIDER_TIMEOUT_MS": "30000",
        }
        doomed, stranger = service("gateway", **env), service("gateway", **servers)
        sent = message("帮我做个计划")
        run_id = (await connect(doomed).ingest(sent))["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        doomed.kill()

        def overdue() -> bool:
            past = connection.execute("SELECT lease_expires_at < now() - interval '3 seconds' FROM provider_calls")
            return past.fetchall() == [(True,)]

        await eventually(overdue, "the lease is over, and nobody took it", deadline_seconds=60)
        assert run_states(await connect(stranger).timeline(sent["sessionId"]), run_id) == ["pending"]
        heir = connect(service("gateway", **env))
        await eventually(lambda: len(provider.calls(run_id)) == 2, "the call was taken over", deadline_seconds=60)
        provider.let_go.set()
        _answered_once(provider, await heir.when_over(sent["sessionId"], run_id), run_id)


def _answered_once(provider: FakeProvider, events: list[Json], run_id: str) -> None:
    first, second = provider.calls(run_id)
    assert second.body["run"] == first.body["run"] | {"attempt": 2}
    assert second.body["input"] == first.body["input"]
    assert run_states(events, run_id) == ["pending", "completed"]
    assert [event["type"] for event in interactions(events, run_id)] == ["ack", "assistant_message"]
    assert seqs(events) == list(range(1, len(events) + 1))


async def test_an_answer_that_comes_after_the_lease_went_elsewhere_is_dropped(
    start_gateway: Callable[..., GatewayClient], database_url: str
) -> None:
    """As when a gateway was frozen for longer than its lease and then goes on."""
    with fake_provider() as provider, psycopg.connect(database_url, autocommit=True) as connection:
        client = start_gateway(
            UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url("hung"),
            GATEWAY_PROVIDER_TIMEOUT_MS="30000",
        )
        sent = message("帮我做个计划")
        run_id = (await client.ingest(sent))["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        connection.execute(
            "UPDATE provider_calls SET lease_owner = 'another', lease_expires_at = now() + interval '1 hour'"
        )
        provider.let_go.set()

        async def dropped() -> bool:
            return b"\nuniassist_provider_calls_lost_total 1.0" in (await client.get("/metrics")).body

        await eventually(dropped, "the late answer was dropped")
        assert len(await client.timeline(sent["sessionId"])) == 3
        connection.execute("UPDATE provider_calls SET lease_expires_at = now()")
        events = await client.when_over(sent["sessionId"], run_id)
        _answered_once(provider, events, run_id)


async def test_a_gateway_that_stops_hands_its_calls_on(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    """SIGTERM while a call is under way: the answer that comes within the drain still lands."""
    with fake_provider() as provider:
        process = service(
            "gateway",
            DATABASE_URL=database_url,
            REDIS_URL=shared_redis_url,
            UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url("hung"),
        )
        sent = message("帮我做个计划")
        run_id = (await connect(process).ingest(sent))["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        stopping = asyncio.get_running_loop().run_in_executor(None, process.stop)
        provider.let_go.set()
        assert await stopping, process.process.last_lines()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT kind FROM timeline_events WHERE run_id = %s ORDER BY seq", (run_id,)
        ).fetchall()
        owed = connection.execute("SELECT count(*) FROM provider_calls").fetchone()
    assert [kind for (kind,) in rows] == ["provider_run", "interaction", "interaction", "provider_run"]
    assert owed == (0,)


async def test_a_gateway_that_stops_leaves_its_hung_calls_to_another(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    """At once, not when the lease runs out."""
    with fake_provider() as provider:
        env = {
            "DATABASE_URL": database_url,
            "REDIS_URL": shared_redis_url,
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": provider.base_url("hung"),
            "GATEWAY_PROVIDER_TIMEOUT_MS": "30000",
        }
        leaving, staying = service("gateway", **env), connect(service("gateway", **env))
        sent = message("帮我做个计划")
        run_id = (await connect(leaving).ingest(sent))["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        assert await asyncio.get_running_loop().run_in_executor(None, leaving.stop)
        await eventually(lambda: len(provider.calls(run_id)) == 2, "the call went on", deadline_seconds=7)
        provider.let_go.set()
        _answered_once(provider, await staying.when_over(sent["sessionId"], run_id), run_id)


async def test_a_killed_gateway_loses_nothing_it_acknowledged(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": shared_redis_url}
    doomed = service("gateway", **env)
    client = connect(doomed)
    sent = [message(f"消息 {n}", sessionId=f"crash-{n % 7}") for n in range(200)]
    acknowledged: dict[str, bytes] = {}

    async def send(each: Json, through: GatewayClient) -> None:
        with contextlib.suppress(CallFailed):
            answer = await through.post("/v0/ingest", each, _key(each))
            if answer.status == 200:
                acknowledged[each["traceId"]] = answer.body

    sending = [asyncio.create_task(send(each, client)) for each in sent]
    await eventually(lambda: len(acknowledged) >= 20, "some inputs are acknowledged", pause_seconds=0.0)
    doomed.kill()
    await asyncio.gather(*sending)
    assert len(acknowledged) >= 20
    _all_durable(database_url, acknowledged)
    before = dict(acknowledged)
    heir = connect(service("gateway", **env))
    answers = await asyncio.gather(*(heir.post("/v0/ingest", each, _key(each)) for each in sent))
    _each_once(database_url, sent, answers, before)


def _key(sent: Json) -> dict[str, str]:
    return {"idempotency-key": f"key-{sent['traceId']}"}


def _all_durable(database_url: str, acknowledged: dict[str, bytes]) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT t.trace_id, count(*), count(o.event_id) FROM timeline_events t"
            " LEFT JOIN outbox_events o USING (event_id) GROUP BY 1"
        ).fetchall()
    found = {trace_id: (events, outbox) for trace_id, events, outbox in rows}
    assert acknowledged.keys() <= found.keys()
    assert all(events == outbox >= 4 for events, outbox in found.values())


def _each_once(database_url: str, sent: list[Json], answers: list[Answer], before: dict[str, bytes]) -> None:
    assert {answer.status for answer in answers} == {200}
    for each, answer in zip(sent, answers, strict=True):
        assert before.get(each["traceId"], answer.body) == answer.body
    with psycopg.connect(database_url) as connection:
        inbound = connection.execute("SELECT trace_id FROM timeline_events WHERE kind = 'inbound'").fetchall()
        sessions = connection.execute(
            "SELECT session_id, count(*), min(seq), max(seq) FROM timeline_events GROUP BY 1"
        ).fetchall()
    assert Counter(trace_id for (trace_id,) in inbound) == Counter(each["traceId"] for each in sent)
    assert all((1, count) == (low, high) for _, count, low, high in sessions)
