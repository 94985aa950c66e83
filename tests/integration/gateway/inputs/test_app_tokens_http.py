"""App authentication: a session belongs to its token's subject; to others it looks unknown, on every call."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    decoded,
    interaction,
    message,
    refused,
    signed,
    unique,
)
from tests.integration.gateway.tokens import bearer
from tests.providers import FakeProvider
from tests.waiting import eventually

_CANCELLATION = ("schemaVersion", "traceId", "sessionId", "userId", "timestampMs")


async def test_without_a_token_nothing_is_accepted_or_shown(guarded: GatewayClient) -> None:
    sent = message(userId="anna")
    refused(await guarded.post("/v0/ingest", sent), 401, "INVALID_APP_TOKEN", "Authorization")
    for path in ("/v0/timeline", "/v0/stream"):
        answer = await guarded.get(f"{path}?sessionId={sent['sessionId']}")
        refused(answer, 401, "INVALID_APP_TOKEN", "Authorization")
    expired = bearer("anna", exp=time.time() - 3600)
    refused(await guarded.post("/v0/ingest", sent, expired), 401, "INVALID_APP_TOKEN", "expired")


async def test_a_session_is_its_subjects_and_unknown_to_others(guarded: GatewayClient) -> None:
    sent = message(userId="anna")
    await guarded.ingest(sent, bearer("anna"))
    path = f"/v0/timeline?sessionId={sent['sessionId']}"
    assert len(decoded(await guarded.get(path, bearer("anna")))["events"]) == 4
    assert decoded(await guarded.get(path, bearer("mallory")))["events"] == []
    stolen = message(sessionId=sent["sessionId"], userId="mallory")
    refused(await guarded.post("/v0/ingest", stolen, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    action = interaction(sent["sessionId"], "new_session:auto", userId="mallory")
    refused(await guarded.post("/v0/interact", action, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    assert (await guarded.post("/v0/interact", action | {"userId": "anna"}, bearer("anna"))).status == 200
    assert len(decoded(await guarded.get(path, bearer("anna")))["events"]) == 5


@pytest.mark.parametrize("taken", [True, False], ids=["a name in use", "a free name"])
async def test_nobody_writes_in_anothers_name_nor_takes_it_first(guarded: GatewayClient, taken: bool) -> None:
    victim = unique("victim")
    sent = message("安排工作会议", userId=victim)
    if taken:
        await guarded.ingest(sent, bearer(victim))
    calls = {
        "/v0/ingest": sent | {"traceId": unique("trace")},
        "/v0/interact": interaction(sent["sessionId"], "new_session:auto", userId=victim),
        "/v0/runs/run-1/cancel": {name: sent[name] for name in _CANCELLATION},
    }
    for path, body in calls.items():
        refused(await guarded.post(path, body, bearer("mallory")), 403, "WRONG_USER", "userId")
    events = decoded(await guarded.get(f"/v0/timeline?sessionId={sent['sessionId']}", bearer(victim)))["events"]
    assert {event["userId"] for event in events} == ({victim} if taken else set())


async def test_a_provider_is_told_whose_token_it_was(guarded: GatewayClient, provider: FakeProvider) -> None:
    who = unique("who")
    sent = message("安排一个计划", userId=who)
    (run,) = (await guarded.ingest(sent, bearer(who)))["runs"]
    (call,) = await eventually(lambda: provider.calls(run["runId"]), "the provider is asked")
    assert call.body["context"]["user"] == {"userId": who, "subject": who, "locale": "zh"}


@pytest.mark.parametrize("sub", ["\ud800", "a\0b", "\udfffx"])
async def test_a_sub_that_cannot_be_stored_is_no_good_token(guarded: GatewayClient, sub: str) -> None:
    for answer in (
        await guarded.post("/v0/ingest", message(), bearer(sub)),
        await guarded.get("/v0/timeline?sessionId=s", bearer(sub)),
    ):
        refused(answer, 401, "INVALID_APP_TOKEN", "stored")


async def test_a_token_of_up_to_eight_kibibytes_is_read(guarded: GatewayClient) -> None:
    path = "/v0/timeline?sessionId=s"
    assert (await guarded.get(path, bearer("anna", padding="x" * 5000))).status == 200
    refused(await guarded.get(path, bearer("anna", padding="x" * 9000)), 401, "INVALID_APP_TOKEN", "8192")
    refused(await guarded.get(path, bearer("anna", exp=time.time() + 9e8)), 401, "INVALID_APP_TOKEN", "further off")
    long = {"authorization": f"Bearer {'x' * 9000}"}
    refused(await guarded.post("/v0/events", b"{}", long), 401, "INVALID_PROVIDER_TOKEN")


async def test_the_successor_of_a_session_belongs_to_the_same_subject(guarded: GatewayClient) -> None:
    sent = message(userId="anna")
    await guarded.ingest(sent, bearer("anna"))
    action = interaction(sent["sessionId"], "new_session:auto", userId="anna")
    successor = decoded(await guarded.post("/v0/interact", action, bearer("anna")))["newSessionId"]
    again = message(sessionId=successor, userId="anna")
    stolen = again | {"userId": "mallory"}
    refused(await guarded.post("/v0/ingest", stolen, bearer("mallory")), 404, "SESSION_NOT_FOUND")
    assert (await guarded.ingest(again, bearer("anna")))["sessionId"] == successor


async def test_a_stream_attached_early_shows_a_foreign_session_neither_then_nor_later(
    guarded: GatewayClient,
) -> None:
    sent, ends_at = message(userId="anna"), time.time() + 6
    url = f"{guarded.url}/v0/stream?sessionId={sent['sessionId']}"
    attached = {who: asyncio.Event() for who in ("anna", "mallory")}
    events: dict[str, list[bytes]] = {who: [] for who in attached}

    async def follow(who: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=bearer(who, exp=ends_at)) as response,
        ):
            async for line in response.content:
                attached[who].set()
                events[who] += [line] if line.startswith(b"data:") else []

    readers = [asyncio.create_task(follow(who)) for who in attached]
    async with asyncio.timeout(15):
        await asyncio.gather(*(each.wait() for each in attached.values()))
    await guarded.ingest(sent, bearer("anna"))
    await guarded.ingest(message(sessionId=sent["sessionId"], userId="anna"), bearer("anna"))
    await eventually(lambda: len(events["anna"]) == 8, "the owner has both inputs")
    # Both readers are woken at once, and their streams end with their tokens: what was to come has come.
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    assert events["mallory"] == []


async def test_a_key_of_one_subject_answers_no_other(guarded: GatewayClient) -> None:
    sent = message(userId="anna")
    key = {"idempotency-key": unique("key")}
    await guarded.ingest(sent, bearer("anna") | key)
    theirs = sent | {"userId": "mallory"}
    refused(await guarded.post("/v0/ingest", theirs, bearer("mallory") | key), 404, "SESSION_NOT_FOUND")


async def test_a_channel_writes_and_reads_with_its_signature(guarded: GatewayClient) -> None:
    sent = message(source="wechat")
    await guarded.ingest_signed(sent)
    target = f"/v0/timeline?sessionId={sent['sessionId']}"
    assert len(decoded(await guarded.get(target, signed(target.encode())))["events"]) == 4
    other = f"/v0/timeline?sessionId={unique('other')}"
    refused(await guarded.get(other, signed(target.encode())), 401, "INVALID_SIGNATURE")
    assert decoded(await guarded.get(target, bearer("anna")))["events"] == []


async def test_nobody_takes_a_channels_session_before_the_channel_does(guarded: GatewayClient) -> None:
    session_id, user_id = f"wx-session:{unique('o')}", f"wx:{unique('o')}"
    for squatted, token in (
        (message(sessionId=session_id, userId=user_id), bearer(user_id)),
        (message(sessionId=session_id, userId="mallory"), bearer("mallory")),
        (message(userId=user_id), bearer(user_id)),
    ):
        refused(await guarded.post("/v0/ingest", squatted, token), 401, "INVALID_SIGNATURE", "signed")
    theirs = message("我的秘密", sessionId=session_id, userId=user_id, source="wechat")
    await guarded.ingest_signed(theirs)
    path = f"/v0/timeline?sessionId={session_id}"
    assert decoded(await guarded.get(path, bearer("mallory")))["events"] == []


async def test_what_is_meant_for_a_user_goes_to_no_session_of_before_tokens(
    guarded: GatewayClient, gateway: GatewayClient
) -> None:
    """`gateway` is the same system before it asked for tokens: anybody could take any name."""
    user = unique("victim")
    mine, theirs = message("工作任务", userId=user), message("工作任务", userId=user)
    await gateway.ingest(theirs)
    await guarded.ingest(mine, bearer(user))
    event = {
        "schemaVersion": "v0",
        "userId": user,
        "providerId": "work",
        "eventType": "reminder",
        "title": "秘密",
        "timestampMs": 1,
    }
    assert decoded(await guarded.report({"kind": "domain_event", "event": event}))["accepted"] == 1
    seen = str(decoded(await guarded.get(f"/v0/timeline?sessionId={mine['sessionId']}", bearer(user))))
    assert "秘密" in seen
    assert "秘密" not in str(await gateway.timeline(theirs["sessionId"]))
