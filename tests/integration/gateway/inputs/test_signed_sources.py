"""Signed requests: refused ones leave no trace, a nonce is taken once, a signed session stays signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

import psycopg
import pytest
from tests.integration.gateway.client import (
    DAY_MS,
    GatewayClient,
    decoded,
    interaction,
    message,
    now_ms,
    refused,
    signed,
    unique,
)
from tests.processes import ServiceProcess

from uniassist.contracts import codec
from uniassist.web.auth import signing

MINUTE_MS = 60_000


@pytest.mark.parametrize("source", ["wechat", "web", "api"])
async def test_every_source_but_app_is_signed(gateway: GatewayClient, source: str) -> None:
    sent = message(source=source)
    refused(await gateway.post("/v0/ingest", sent), 401, "INVALID_SIGNATURE", "x-uniassist-signature")
    assert (await gateway.ingest_signed(sent))["sessionId"] == sent["sessionId"]


@pytest.mark.parametrize("missing", [signing.SIGNATURE_HEADER, signing.TIMESTAMP_HEADER, signing.NONCE_HEADER])
@pytest.mark.parametrize("source", ["wechat", "app"])
async def test_a_signature_has_three_headers(gateway: GatewayClient, missing: str, source: str) -> None:
    body = codec.encode(message(source=source))
    headers = signed(body)
    del headers[missing]
    refused(await gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", missing)


@pytest.mark.parametrize("source", ["wechat", "app"])
async def test_a_signature_over_something_else_is_refused_and_burns_no_nonce(
    gateway: GatewayClient, database: psycopg.Connection, source: str
) -> None:
    body, nonce = codec.encode(message(source=source)), signing.fresh_nonce()
    forged = signed(b"another body", nonce=nonce)
    refused(await gateway.post("/v0/ingest", body, forged), 401, "INVALID_SIGNATURE", "x-uniassist-signature")
    assert _kept(database, nonce) == 0
    assert (await gateway.post("/v0/ingest", body, signed(body, nonce=nonce))).status == 200
    assert _kept(database, nonce) == 1


@pytest.mark.parametrize("off_ms", [-5 * MINUTE_MS - 5_000, 5 * MINUTE_MS + 5_000, -DAY_MS, DAY_MS])
async def test_a_timestamp_more_than_five_minutes_off_is_refused(
    gateway: GatewayClient, database: psycopg.Connection, off_ms: int
) -> None:
    body, nonce = codec.encode(message(source="wechat")), signing.fresh_nonce()
    headers = signed(body, nonce=nonce, at_ms=now_ms() + off_ms)
    refused(await gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", "x-uniassist-timestamp")
    assert _kept(database, nonce) == 0


@pytest.mark.parametrize("off_ms", [-5 * MINUTE_MS + 5_000, 5 * MINUTE_MS - 5_000])
async def test_a_timestamp_within_five_minutes_is_taken(gateway: GatewayClient, off_ms: int) -> None:
    body = codec.encode(message(source="wechat"))
    answer = await gateway.post("/v0/ingest", body, signed(body, at_ms=now_ms() + off_ms))
    assert answer.status == 200


async def test_a_replayed_request_is_refused(gateway: GatewayClient) -> None:
    sent = message(source="wechat")
    body = codec.encode(sent)
    headers = signed(body)
    assert (await gateway.post("/v0/ingest", body, headers)).status == 200
    refused(await gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", "x-uniassist-nonce")
    assert len(await gateway.timeline(sent["sessionId"])) == 4


async def test_a_nonce_used_again_for_another_session_opens_none(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    nonce = signing.fresh_nonce()
    bodies = [codec.encode(message(source="wechat", sessionId=unique("nonce"))) for _ in range(2)]
    answers = [await gateway.post("/v0/ingest", body, signed(body, nonce=nonce)) for body in bodies]
    assert [answer.status for answer in answers] == [200, 401]
    second = codec.decode(bodies[1], dict)["sessionId"]
    assert database.execute("SELECT 1 FROM sessions WHERE session_id = %s", (second,)).fetchall() == []


async def test_of_many_replays_at_once_exactly_one_is_taken(
    gateway: GatewayClient,
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    shared_database_url: str,
    shared_redis_url: str,
) -> None:
    other = connect(service("gateway", DATABASE_URL=shared_database_url, REDIS_URL=shared_redis_url))
    for _ in range(5):
        sent = message(source="wechat")
        body = codec.encode(sent)
        headers = signed(body)
        racers = [each for _ in range(10) for each in (gateway, other)]
        answers = await asyncio.gather(*(each.post("/v0/ingest", body, headers) for each in racers))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 19
        assert len(await gateway.timeline(sent["sessionId"])) == 4


async def test_a_nonce_is_taken_once_across_calls_of_different_kinds(gateway: GatewayClient) -> None:
    sent, nonce = message(source="wechat"), signing.fresh_nonce()
    body = codec.encode(sent)
    await gateway.ingest(sent, signed(body, nonce=nonce))
    switch = codec.encode(interaction(sent["sessionId"], "switch_provider:work"))
    again = await gateway.post("/v0/interact", switch, signed(switch, nonce=nonce))
    refused(again, 401, "INVALID_SIGNATURE", "x-uniassist-nonce")
    assert (await gateway.post("/v0/interact", switch, signed(switch))).status == 200


async def test_a_signed_session_takes_only_signed_calls(gateway: GatewayClient) -> None:
    opened = message(source="wechat")
    await gateway.ingest_signed(opened)
    session_id = opened["sessionId"]
    unsigned = message("冒充", sessionId=session_id)
    refused(await gateway.post("/v0/ingest", unsigned), 401, "INVALID_SIGNATURE", "x-uniassist-signature")
    switch = interaction(session_id, "switch_provider:work")
    refused(await gateway.post("/v0/interact", switch), 401, "INVALID_SIGNATURE", "x-uniassist-signature")
    assert len(await gateway.timeline(session_id)) == 4
    assert (await gateway.ingest_signed(unsigned))["stream"]["cursor"] == 4


async def test_the_successor_of_a_signed_session_is_signed(gateway: GatewayClient) -> None:
    opened = message(source="wechat", timestampMs=now_ms() - DAY_MS - 60_000)
    await gateway.ingest_signed(opened)
    successor = (await gateway.ingest_signed(message(source="wechat", sessionId=opened["sessionId"])))["sessionId"]
    assert successor != opened["sessionId"]
    for session_id in (opened["sessionId"], successor):
        answer = await gateway.post("/v0/ingest", message(sessionId=session_id))
        refused(answer, 401, "INVALID_SIGNATURE")


@pytest.mark.parametrize("is_signed", [False, True])
async def test_another_users_session_looks_unknown_and_nothing_is_written(
    gateway: GatewayClient, database: psycopg.Connection, is_signed: bool
) -> None:
    opened = message()
    await gateway.ingest(opened)
    session_id = opened["sessionId"]
    nonces = []
    for path, body in (
        ("/v0/ingest", message(sessionId=session_id, userId="intruder", source="api" if is_signed else "app")),
        ("/v0/interact", interaction(session_id, "new_session:auto", userId="intruder")),
    ):
        raw = codec.encode(body)
        headers = signed(raw) if is_signed else {}
        nonces += [headers[signing.NONCE_HEADER]] if is_signed else []
        theirs = await gateway.post(path, raw, headers)
        refused(theirs, 404, "SESSION_NOT_FOUND", "sessionId")
    assert len(await gateway.timeline(session_id)) == 4
    assert [_kept(database, nonce) for nonce in nonces] == [0] * len(nonces)


@pytest.mark.parametrize("path", ["/v0/timeline", "/v0/stream"])
async def test_a_read_that_claims_to_be_signed_is_held_to_it(gateway: GatewayClient, path: str) -> None:
    target = f"{path}?sessionId=s&cursor=0"
    for headers in (signed(b"something else"), signed(target.encode(), at_ms=now_ms() - DAY_MS)):
        refused(await gateway.get(target, headers), 401, "INVALID_SIGNATURE", "x-uniassist-")


async def test_a_signed_read_may_be_repeated_and_its_query_re_encoded_on_the_way(gateway: GatewayClient) -> None:
    session_id = unique("wx-session:会话 +/")
    opened = message(source="wechat", sessionId=session_id)
    await gateway.ingest_signed(opened)
    target = f"/v0/timeline?{urlencode({'sessionId': session_id, 'cursor': 0})}"
    good = signed(target.encode())
    for sent in (target, target, target.replace("%3A", ":").replace("+", "%20")):
        answer = await gateway.get(sent, good)
        assert len(decoded(answer)["events"]) == 4
    other = f"/v0/timeline?{urlencode({'sessionId': opened['userId'], 'cursor': 0})}"
    refused(await gateway.get(other, good), 401, "INVALID_SIGNATURE", "x-uniassist-signature")


async def test_the_previous_secret_is_good_while_it_is_configured(
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    shared_database_url: str,
    shared_redis_url: str,
) -> None:
    old, new = "an-older-secret-0123456789", "a-newer-secret-0123456789"
    rotating = connect(
        service(
            "gateway",
            DATABASE_URL=shared_database_url,
            REDIS_URL=shared_redis_url,
            UNIASSIST_ADAPTER_SECRET=new,
            UNIASSIST_ADAPTER_SECRET_PREVIOUS=old,
        )
    )
    for secret, status in ((old, 200), (new, 200), ("a-third-secret-0123456789", 401)):
        body = codec.encode(message(source="api"))
        headers = signing.sign(secret, body, now_ms=now_ms(), nonce=signing.fresh_nonce())
        assert (await rotating.post("/v0/ingest", body, headers)).status == status


def _kept(database: psycopg.Connection, nonce: str) -> int:
    row = database.execute("SELECT count(*) FROM signature_nonces WHERE nonce = %s", (nonce,)).fetchone()
    assert row is not None
    return int(row[0])
