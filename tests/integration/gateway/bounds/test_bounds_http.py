"""What one person and one address may take, over HTTP: 429 with Retry-After beyond it, at nobody else's expense."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.conftest import _new_database
from tests.integration.gateway.client import GatewayClient, Json, message, refused, signed, unique
from tests.integration.gateway.sse import read_stream
from tests.integration.gateway.tokens import KEY, bearer
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.web.calling.client import Answer, JsonClient

SESSIONS, STREAMS, UNKNOWN = 4, 6, 2
LIMITS = {
    "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
    "GATEWAY_RATE_LIMIT_PER_ADDRESS": "40",
    "GATEWAY_RATE_LIMIT_PER_USER": "20",
    "GATEWAY_STREAMS_PER_USER": str(STREAMS),
    "GATEWAY_STREAMS_PER_ADDRESS": str(STREAMS + 1),
    "GATEWAY_UNKNOWN_STREAMS": str(UNKNOWN),
    "GATEWAY_DAY_MIB_PER_USER": "1",
    "GATEWAY_DAY_MIB_PER_ADDRESS": "2",
    "GATEWAY_HOUR_SESSIONS_PER_USER": str(SESSIONS),
    "GATEWAY_HOUR_SESSIONS_PER_ADDRESS": str(2 * SESSIONS),
}


@pytest.fixture(scope="module")
def bounded_processes(
    postgres_server: EmbeddedPostgres, shared_redis_url: str, server_directory: Path
) -> Iterator[list[ServiceProcess]]:
    """Two gateways on one database, behind a proxy of ours."""
    for url in _new_database(postgres_server, "template_uniassist"):
        env = {"DATABASE_URL": url, "REDIS_URL": shared_redis_url, "UNIASSIST_APP_AUTH": "jwt"}
        processes = [
            ServiceProcess(
                "gateway",
                server_directory / f"bounded-{number}.log",
                {**env, "UNIASSIST_APP_JWT_KEY": KEY, **LIMITS},
            )
            for number in range(2)
        ]
        for process in processes:
            process.start()
        yield processes
        for process in processes:
            process.stop()


@pytest.fixture
def bounded(bounded_processes: list[ServiceProcess], http: JsonClient) -> list[GatewayClient]:
    return [GatewayClient(http, process.url) for process in bounded_processes]


_hosts = iter(range(1, 250))


def fresh_address() -> dict[str, str]:
    return {"x-forwarded-for": f"198.51.100.{next(_hosts)}"}


def of(user: str, address: dict[str, str]) -> dict[str, str]:
    return bearer(user) | address


def said(user: str, **changed: object) -> Json:
    return message("hi", userId=user, **changed)


def too_much(answer: Answer, named: str, most_seconds: int) -> None:
    refused(answer, 429, "RATE_LIMITED", named)
    assert 1 <= int(answer.headers["retry-after"]) <= most_seconds


async def test_sessions_opened_an_hour_are_bounded_over_all_gateways(bounded: list[GatewayClient]) -> None:
    user, address = unique("opener"), fresh_address()
    opened: list[str] = []
    answers: list[Answer] = []
    for number in range(2 * SESSIONS + 2):  # twice as many, should an hour end meanwhile
        asked = said(user)
        answers.append(await bounded[number % 2].post("/v0/ingest", asked, of(user, address)))
        if answers[-1].status == 429:
            break
        opened.append(asked["sessionId"])
    too_much(answers[-1], "sessionId", 3600)
    assert len(opened) >= SESSIONS
    # what is open goes on, and another person opens
    again = await bounded[0].post("/v0/ingest", said(user, sessionId=opened[0]), of(user, address))
    assert again.status == 200, again.body
    other = unique("opener")
    assert (await bounded[0].post("/v0/ingest", said(other), of(other, address))).status == 200


async def test_sessions_opened_from_one_address_are_bounded_whoever_opens_them(
    bounded: list[GatewayClient],
) -> None:
    address = fresh_address()
    for number in range(4 * SESSIONS + 2):
        user = unique("guest")
        answer = await bounded[number % 2].post("/v0/ingest", said(user), of(user, address))
        if answer.status == 429:
            break
    too_much(answer, "sessionId", 3600)
    elsewhere = fresh_address()
    assert (await bounded[0].post("/v0/ingest", said(user), of(user, elsewhere))).status == 200
    of_channel = message(userId=unique("guest"), source="api")
    answer = await bounded[0].post("/v0/ingest", of_channel, signed(codec.encode(of_channel)) | address)
    assert answer.status == 200, "all people of a channel come from one address"


async def test_bytes_a_day_are_bounded_over_all_gateways(bounded: list[GatewayClient]) -> None:
    user, address, session_id = unique("writer"), fresh_address(), unique("session")
    for number in range(8):
        body = said(user, sessionId=session_id, raw="x" * 300_000)
        answer = await bounded[number % 2].post("/v0/ingest", body, of(user, address))
        if answer.status == 429:
            break
    too_much(answer, "userId", 86_400)
    assert number >= 3
    other = unique("writer")
    assert (await bounded[0].post("/v0/ingest", said(other), of(other, address))).status == 200


async def test_an_address_that_asks_too_often_is_refused_before_anybody_looks_who_it_is(
    bounded: list[GatewayClient],
) -> None:
    address = fresh_address()
    asked = [
        lambda: bounded[0].post("/v0/ingest", said("nobody"), address),
        lambda: bounded[0].get("/v0/timeline?sessionId=s", address),
        lambda: bounded[0].get("/v0/stream?ticket=none", address),
        lambda: bounded[0].post("/v0/events", {}, address),
    ]
    answers = await asyncio.gather(*(asked[number % 4]() for number in range(240)))
    assert {answer.status for answer in answers} == {401, 429}
    for path in range(4):
        late = next(answer for answer in answers[path::4] if answer.status == 429)
        too_much(late, "address", 5)
    user = unique("calm")
    assert (await bounded[0].post("/v0/ingest", said(user), of(user, fresh_address()))).status == 200


async def test_bad_bodies_and_reads_of_one_user_count_as_well(bounded: list[GatewayClient]) -> None:
    user = unique("careless")
    addresses = [fresh_address() for _ in range(3)]
    bad = [bounded[0].post("/v0/ingest", b"{", of(user, addresses[number % 3])) for number in range(75)]
    answers = await asyncio.gather(*bad)
    assert {answer.status for answer in answers} == {400, 429}
    path = "/v0/timeline?sessionId=s"
    answers += await asyncio.gather(*(bounded[0].get(path, of(user, addresses[n % 3])) for n in range(75)))
    assert 429 in {answer.status for answer in answers[75:]}
    too_much(next(answer for answer in answers if answer.status == 429), "Authorization", 5)
    other = unique("careless")
    assert (await bounded[0].post("/v0/ingest", said(other), of(other, addresses[0]))).status == 200


async def test_streams_at_a_time_are_bounded_and_few_are_of_sessions_that_nobody_knows(
    bounded: list[GatewayClient],
) -> None:
    user, address = unique("reader"), fresh_address()
    url, asked = bounded[0].url, of(user, address)
    mine = said(user)
    assert (await bounded[0].post("/v0/ingest", mine, asked)).status == 200

    async def stream(session_id: str, headers: dict[str, str] = asked) -> Answer:
        return await bounded[0].get(f"/v0/stream?sessionId={session_id}", headers)

    async with AsyncExitStack() as open_ones:
        for _ in range(UNKNOWN):
            await open_ones.enter_async_context(read_stream(f"{url}/v0/stream?sessionId={unique('no')}", asked))
        too_much(await stream(unique("no")), "don't exist yet", 5)
        for _ in range(STREAMS - UNKNOWN):
            known = f"{url}/v0/stream?sessionId={mine['sessionId']}"
            await open_ones.enter_async_context(read_stream(known, asked))
        too_much(await stream(mine["sessionId"]), f"at most {STREAMS} streams", 5)
        other = of(unique("reader"), address)
        await open_ones.enter_async_context(read_stream(f"{url}/v0/stream?sessionId=s", other))
        too_much(await stream("s", of(unique("reader"), address)), f"at most {STREAMS + 1} streams", 5)
        await open_ones.enter_async_context(read_stream(f"{url}/v0/stream?sessionId=s", of("x", fresh_address())))

    async def one_again() -> bool:
        try:
            async with read_stream(f"{url}/v0/stream?sessionId={mine['sessionId']}", asked):
                return True
        except AssertionError:
            return False

    await eventually(one_again, "the places of streams that ended are free")
