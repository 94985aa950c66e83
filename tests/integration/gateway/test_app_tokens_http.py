"""App authentication: a session belongs to its token's subject; to others it looks unknown, on every call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
import jwt
import pytest
from tests.integration.gateway.client import GatewayClient, decoded, interaction, message, refused, signed, unique
from tests.processes import ServiceProcess

from uniassist.contracts import codec

KEY = "app-token-key-of-the-tests-0123456789"


def bearer(subject: str, **claims: object) -> dict[str, str]:
    return {"authorization": f"Bearer {jwt.encode({'sub': subject, 'exp': time.time() + 300} | claims, KEY)}"}


@pytest.fixture
def guarded(
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    database_url: str,
    redis_url: str,
) -> GatewayClient:
    return connect(
        service(
            "gateway",
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            UNIASSIST_APP_AUTH="jwt",
            UNIASSIST_APP_JWT_KEY=KEY,
        )
    )


async def test_without_a_token_nothing_is_accepted_or_shown(guarded: GatewayClient) -> None:
    sent = message()
    refused(await guarded.post("/v0/ingest", sent), 401, "INVALID_APP_TOKEN", "Authorization")
    for path in ("/v0/timeline", "/v0/stream"):
        answer = await guarded.get(f"{path}?sessionId={sent['sessionId']}")
        refused(answer, 401, "INVALID_APP_TOKEN", "Authorization")
    expired = bearer("anna", exp=time.time() - 3600)
    refused(await guarded.post("/v0/ingest", sent, expired), 401, "INVALID_APP_TOKEN", "expired")


async def test_a_session_is_its_subjects_and_unknown_to_others(guarded: GatewayClient) -> None:
    sent = message()
    await guarded.ingest(sent, bearer("anna"))
    path = f"/v0/timeline?sessionId={sent['sessionId']}"
    assert len(decoded(await guarded.get(path, bearer("anna")))["events"]) == 4
    assert decoded(await guarded.get(path, bearer("mallory")))["events"] == []
    stolen = message(sessionId=sent["sessionId"])
    refused(await guarded.post("/v0/ingest", stolen, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    action = interaction(sent["sessionId"], "new_session:auto")
    refused(await guarded.post("/v0/interact", action, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    assert (await guarded.post("/v0/interact", action, bearer("anna"))).status == 200
    assert len(decoded(await guarded.get(path, bearer("anna")))["events"]) == 5


async def test_the_successor_of_a_session_belongs_to_the_same_subject(guarded: GatewayClient) -> None:
    sent = message()
    await guarded.ingest(sent, bearer("anna"))
    action = interaction(sent["sessionId"], "new_session:auto")
    successor = decoded(await guarded.post("/v0/interact", action, bearer("anna")))["newSessionId"]
    again = message(sessionId=successor)
    refused(await guarded.post("/v0/ingest", again, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    assert (await guarded.ingest(again, bearer("anna")))["sessionId"] == successor


async def test_a_stream_attached_early_shows_a_foreign_session_neither_then_nor_later(
    guarded: GatewayClient,
) -> None:
    sent = message()
    url = f"{guarded.url}/v0/stream?sessionId={sent['sessionId']}"

    async def first_event(subject: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url, headers=bearer(subject)) as response:
            async for line in response.content:
                if line.startswith(b"data:"):
                    return line
        return b""

    theirs, mine = asyncio.create_task(first_event("mallory")), asyncio.create_task(first_event("anna"))
    await guarded.ingest(sent, bearer("anna"))
    assert sent["sessionId"].encode() in await asyncio.wait_for(mine, 15)
    await guarded.ingest(message(sessionId=sent["sessionId"]), bearer("anna"))
    done, _ = await asyncio.wait([theirs], timeout=1.5)
    assert not done
    theirs.cancel()


async def test_a_key_of_one_subject_answers_no_other(guarded: GatewayClient) -> None:
    sent = message(sessionId=unique("session"))
    key = {"idempotency-key": "k-1"}
    await guarded.ingest(sent, bearer("anna") | key)
    refused(await guarded.post("/v0/ingest", sent, bearer("mallory") | key), 404, "SESSION_NOT_FOUND")


async def test_a_channel_writes_and_reads_with_its_signature(guarded: GatewayClient) -> None:
    sent = message(source="wechat")
    await guarded.ingest_signed(sent)
    target = f"/v0/timeline?sessionId={sent['sessionId']}"
    assert len(decoded(await guarded.get(target, signed(target.encode())))["events"]) == 4
    other = f"/v0/timeline?sessionId={unique('other')}"
    refused(await guarded.get(other, signed(target.encode())), 401, "INVALID_SIGNATURE")
    assert decoded(await guarded.get(target, bearer("anna")))["events"] == []


async def test_nobody_takes_a_channels_session_before_the_channel_does(guarded: GatewayClient) -> None:
    for squatted in (
        message(sessionId="wx-session:o1", userId="wx:o1"),
        message(sessionId="wx-session:o1"),
        message(userId="wx:o1"),
    ):
        refused(await guarded.post("/v0/ingest", squatted, bearer("mallory")), 401, "INVALID_SIGNATURE", "signed")
    theirs = message("我的秘密", sessionId="wx-session:o1", userId="wx:o1", source="wechat")
    await guarded.ingest_signed(theirs)
    path = "/v0/timeline?sessionId=wx-session:o1"
    assert decoded(await guarded.get(path, bearer("mallory")))["events"] == []


async def test_what_is_meant_for_a_user_does_not_go_to_who_names_them_later(guarded: GatewayClient) -> None:
    user = unique("victim")
    mine, theirs = message(userId=user), message(userId=user)
    await guarded.ingest(mine, bearer("anna"))
    await guarded.ingest(theirs, bearer("mallory"))
    event = {
        "schemaVersion": "v0",
        "userId": user,
        "providerId": "work",
        "eventType": "reminder",
        "title": "秘密",
        "timestampMs": 1,
    }
    assert decoded(await guarded.report({"kind": "domain_event", "event": event}))["accepted"] == 1
    seen = {
        who: str(decoded(await guarded.get(f"/v0/timeline?sessionId={sent['sessionId']}", bearer(who))))
        for who, sent in (("anna", mine), ("mallory", theirs))
    }
    assert ("秘密" in seen["anna"], "秘密" in seen["mallory"]) == (True, False)


async def test_a_user_who_writes_too_often_is_told_when_to_come_back(
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    database_url: str,
    redis_url: str,
) -> None:
    limited = connect(
        service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, GATEWAY_RATE_LIMIT_PER_USER="2")
    )
    sent = [message(userId="busy") for _ in range(12)]
    answers = [await limited.post("/v0/ingest", each) for each in sent]
    late = next(answer for answer in answers if answer.status != 200)
    refused(late, 429, "RATE_LIMITED", "userId")
    assert int(late.headers["retry-after"]) >= 1
    assert (await limited.post("/v0/ingest", message(userId="calm"))).status == 200
    for each, answer in zip(sent, answers, strict=True):
        assert len(await limited.timeline(each["sessionId"])) == (4 if answer.status == 200 else 0)


def cancellation(sent: dict[str, object], **changed: object) -> bytes:
    fields = {name: sent[name] for name in ("schemaVersion", "traceId", "sessionId", "userId", "timestampMs")}
    return codec.encode(fields | changed)


async def test_a_cancelled_run_takes_nothing_more(gateway: GatewayClient) -> None:
    sent = message("hung hung")
    ack = await gateway.ingest(sent)
    [run] = [run for run in ack["runs"] if run["providerId"] == "hung"]
    path = f"/v0/runs/{run['runId']}/cancel"
    refused(await gateway.post(path, cancellation(sent, userId="mallory")), 404, "SESSION_NOT_FOUND")
    refused(await gateway.post("/v0/runs/none/cancel", cancellation(sent)), 404, "NOT_FOUND", "runId")
    for _ in range(2):  # again is fine
        answer = await gateway.post(path, cancellation(sent))
        assert (answer.status, decoded(answer)["status"]) == (200, "cancelled"), answer.body
    late = {
        "kind": "interaction",
        "traceId": sent["traceId"],
        "sessionId": sent["sessionId"],
        "userId": sent["userId"],
        "runId": run["runId"],
        "event": {"type": "assistant_message", "text": "too late"},
        "timestampMs": 1,
    }
    assert decoded(await gateway.report(late, provider_id="hung"))["rejected"] == 1
    await asyncio.sleep(1.2)  # longer than the provider's deadline: its failure must not show either
    events = await gateway.timeline(sent["sessionId"])
    states = [e["payload"]["status"] for e in events if e["kind"] == "provider_run"]
    assert states == ["pending", "cancelled"]
    assert [e for e in events if e["kind"] == "interaction" and e.get("runId") == run["runId"]] == []
