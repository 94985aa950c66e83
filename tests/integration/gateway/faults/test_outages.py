"""Postgres or Redis away: what is said, how soon, and that it all goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
from tests.integration.gateway.client import (
    GatewayClient,
    decoded,
    interaction,
    message,
    provider_headers,
    refused,
    run_states,
    unique,
)
from tests.integration.gateway.sse import follow
from tests.processes import ServiceProcess
from tests.providers import fake_provider
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.web.calling.client import Answer

Start = Callable[..., ServiceProcess]
Connect = Callable[[ServiceProcess], GatewayClient]
TRUTH_SECONDS = 5.0


async def health_becomes(client: GatewayClient, status: int, postgres: str, redis: str) -> None:
    """Within what the contract allows. `postgres` and `redis`: how their words begin."""

    async def told() -> bool:
        answer = await client.get("/health")
        body = decoded(answer)
        assert body["ok"] is (answer.status == 200)
        checks = body["checks"]
        as_told = checks["postgres"].startswith(postgres) and checks["redis"].startswith(redis)
        return answer.status == status and as_told and len(checks) == 2

    await eventually(told, f"health says {status}", deadline_seconds=TRUTH_SECONDS)


async def test_postgres_away_and_back(
    service: Start, connect: Connect, own_postgres: EmbeddedPostgres, shared_redis_url: str
) -> None:
    with fake_provider() as provider:
        client = connect(
            service(
                "gateway",
                DATABASE_URL=own_postgres.url,
                REDIS_URL=shared_redis_url,
                UNIASSIST_PLAN_PROVIDER_BASE_URL=provider.base_url("hung"),
            )
        )
        sent = message("帮我做个计划")
        ack = await client.ingest(sent)
        run_id = ack["runs"][0]["runId"]
        await eventually(lambda: provider.calls(run_id), "the provider was called")
        async with follow(client.url, sent["sessionId"]) as follower:
            await follower.until(lambda f: len(f.events) == 3, "the history came")
            own_postgres.stop()
            await _everything_is_unavailable(client, sent["sessionId"])
            await health_becomes(client, 503, "away", "ok")
            assert (await client.get("/health/live")).status == 200
            assert (await client.get("/metrics")).status == 200
            provider.let_go.set()  # an answer that can't be written now isn't lost
            own_postgres.start()
            await health_becomes(client, 200, "ok", "ok")
            events = await client.when_over(sent["sessionId"], run_id)
            assert run_states(events, run_id) == ["pending", "completed"]
            await client.ingest(message("又来了", sessionId=sent["sessionId"]))
            await follower.until(lambda f: len(f.events) >= len(events) + 4, "the open stream went on")
        assert follower.seqs == list(range(1, len(follower.seqs) + 1))
        assert provider.calls(run_id)[0].run_id == run_id


async def _everything_is_unavailable(client: GatewayClient, session_id: str) -> None:
    late = {"schemaVersion": "v0", "providerId": "work", "events": [_domain_event()], "timestampMs": 1}
    calls: dict[str, Callable[[], Awaitable[Answer]]] = {
        "ingest": lambda: client.post("/v0/ingest", message("你好", sessionId=session_id)),
        "interact": lambda: client.post("/v0/interact", interaction(session_id, "switch_provider:work")),
        "timeline": lambda: client.get(f"/v0/timeline?sessionId={session_id}"),
        "events": lambda: client.post("/v0/events", late, provider_headers("*")),
        "context": lambda: client.get("/v0/context/users/profile:u", provider_headers("*")),
        "metrics": lambda: client.get("/v0/metrics"),
    }
    for name, call in calls.items():
        began = time.monotonic()
        answer = await call()
        assert time.monotonic() - began < 10, name
        refused(answer, 503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1


def _domain_event() -> dict[str, object]:
    event = {"schemaVersion": "v0", "userId": "user-1", "providerId": "work", "eventType": "summary"}
    return {"kind": "domain_event", "event": event | {"title": "x", "timestampMs": 1}}


async def test_a_postgres_that_dies_under_load_loses_nothing_acknowledged(
    service: Start, connect: Connect, own_postgres: EmbeddedPostgres, shared_redis_url: str
) -> None:
    client = connect(service("gateway", DATABASE_URL=own_postgres.url, REDIS_URL=shared_redis_url))
    sent = [message(f"消息 {n}", sessionId=unique("load")) for n in range(150)]
    acknowledged: list[str] = []

    async def until_acknowledged(each: dict[str, object]) -> None:
        headers = {"idempotency-key": f"key-{each['traceId']}"}

        async def taken() -> bool:
            answer = await client.post("/v0/ingest", each, headers)
            assert answer.status in (200, 503), answer.body
            return answer.status == 200

        await eventually(taken, "acknowledged", deadline_seconds=60, pause_seconds=0.2)
        acknowledged.append(str(each["traceId"]))

    sending = asyncio.gather(*(until_acknowledged(each) for each in sent))
    await eventually(lambda: acknowledged, "the first are acknowledged", pause_seconds=0.0)
    own_postgres.process.kill()
    own_postgres.start()
    await sending
    with psycopg.connect(own_postgres.url) as connection:
        rows = connection.execute("SELECT trace_id FROM timeline_events WHERE kind = 'inbound'").fetchall()
    assert sorted(trace_id for (trace_id,) in rows) == sorted(each["traceId"] for each in sent)


async def test_a_session_that_someone_locks_holds_up_no_other(
    gateway: GatewayClient, shared_database_url: str
) -> None:
    locked, free = message("你好"), [message("你好") for _ in range(20)]
    await gateway.ingest(locked)
    with psycopg.connect(shared_database_url) as operator:
        operator.execute("UPDATE sessions SET user_id = user_id WHERE session_id = %s", (locked["sessionId"],))
        waiting = [
            asyncio.create_task(gateway.post("/v0/ingest", message("等等", sessionId=locked["sessionId"])))
            for _ in range(3)
        ]
        began = time.monotonic()
        answers = await asyncio.gather(*(gateway.post("/v0/ingest", each) for each in free))
        assert {answer.status for answer in answers} == {200}
        assert time.monotonic() - began < 12
        for answer in await asyncio.gather(*waiting):
            refused(answer, 503, "UNAVAILABLE", "locked")
            assert answer.headers["retry-after"]
    assert len(await gateway.timeline(locked["sessionId"])) == 4
    await gateway.ingest(message("好了", sessionId=locked["sessionId"]))


async def test_a_locked_successor_holds_up_only_those_who_go_on_in_it(
    gateway: GatewayClient, shared_database_url: str
) -> None:
    old, free = message("你好"), [message("你好") for _ in range(20)]
    await gateway.ingest(old)
    action = interaction(old["sessionId"], "new_session:auto")
    successor = decoded(await gateway.post("/v0/interact", action))["newSessionId"]
    with psycopg.connect(shared_database_url) as operator:
        operator.execute("UPDATE sessions SET user_id = user_id WHERE session_id = %s", (successor,))
        held = [message("等等", sessionId=old["sessionId"]) for _ in range(4)]
        answers = await asyncio.gather(*(gateway.post("/v0/ingest", each) for each in [*held, *free]))
        assert [answer.status for answer in answers] == [503] * 4 + [200] * 20
    await gateway.ingest(message("好了", sessionId=old["sessionId"]))


async def test_a_session_that_somebody_is_opening_holds_up_only_itself(
    gateway: GatewayClient, shared_database_url: str
) -> None:
    opened, free = message("你好"), [message("你好") for _ in range(10)]
    with psycopg.connect(shared_database_url) as other:
        other.execute("INSERT INTO sessions (session_id, user_id) VALUES (%s, 'u')", (opened["sessionId"],))
        answers = await asyncio.gather(*(gateway.post("/v0/ingest", each) for each in [opened, *free]))
        assert [answer.status for answer in answers] == [503] + [200] * 10
        other.rollback()
    await gateway.ingest(opened)


async def test_a_full_queue_is_said_and_what_was_taken_is_there(
    start_gateway: Callable[..., GatewayClient], database_url: str
) -> None:
    client = start_gateway(GATEWAY_INGEST_QUEUE_SIZE="1")
    sent = [message("你好", sessionId=f"queue-{n % 3}") for n in range(80)]
    answers = await asyncio.gather(*(client.post("/v0/ingest", each) for each in sent))
    turned_away = [answer for answer in answers if answer.status != 200]
    assert turned_away
    for answer in turned_away:
        refused(answer, 503, "UNAVAILABLE", "wait")
        assert int(answer.headers["retry-after"]) >= 1
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT trace_id FROM timeline_events WHERE kind = 'inbound'").fetchall()
    taken = [each["traceId"] for each, answer in zip(sent, answers, strict=True) if answer.status == 200]
    assert sorted(trace_id for (trace_id,) in rows) == sorted(taken)


async def test_redis_away_is_degraded_and_inputs_go_on(
    service: Start, connect: Connect, database_url: str, own_redis: EmbeddedRedis
) -> None:
    client = connect(service("gateway", DATABASE_URL=database_url, REDIS_URL=own_redis.url))
    assert "degraded" not in decoded(await client.get("/health"))
    own_redis.stop()
    await health_becomes(client, 200, "ok", "away")
    assert decoded(await client.get("/health"))["degraded"] is True
    sent = message("你好")
    async with follow(client.url, sent["sessionId"]) as follower:
        await client.ingest(sent)
        await follower.until(lambda f: len(f.events) == 4, "the input came", within_seconds=2)
    own_redis.start()
    await health_becomes(client, 200, "ok", "ok")


async def test_the_gateway_starts_without_redis_and_without_postgres(
    service: Start, connect: Connect, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    url = own_postgres.url
    own_postgres.stop()
    own_redis.stop()
    client = connect(service("gateway", DATABASE_URL=url, REDIS_URL=own_redis.url))
    await health_becomes(client, 503, "away", "away")
    own_postgres.start()
    await health_becomes(client, 200, "ok", "away")
    await client.ingest(message("你好"))
    own_redis.start()
    await health_becomes(client, 200, "ok", "ok")


async def test_an_unmigrated_database_shows_in_health(
    service: Start, connect: Connect, empty_database_url: str, shared_redis_url: str
) -> None:
    client = connect(service("gateway", DATABASE_URL=empty_database_url, REDIS_URL=shared_redis_url))
    await health_becomes(client, 503, "no schema (next: uniassist db migrate)", "ok")
