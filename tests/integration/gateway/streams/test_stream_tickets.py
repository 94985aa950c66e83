"""Streams end with their tokens, and a ticket lets in who can't send headers: once, soon, to one session."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest
from tests.integration.gateway.client import GatewayClient, Json, decoded, message, refused, signed, unique
from tests.integration.gateway.sse import read_stream
from tests.integration.gateway.tokens import bearer

from uniassist.contracts import codec
from uniassist.gateway.tickets import TICKET_MS, Tickets

TICKETS = "/v0/stream-tickets"


async def ticket_of(gateway: GatewayClient, session_id: str, headers: dict[str, str] | None = None) -> str:
    answer = await gateway.post(TICKETS, {"sessionId": session_id}, headers)
    assert answer.status == 200, answer.body
    shown: Json = decoded(answer)
    assert 0 < shown["expiresAt"] - time.time() * 1000 <= TICKET_MS
    assert answer.headers["cache-control"] == "no-store"
    return str(shown["ticket"])


async def test_a_stream_ends_with_its_token_and_goes_on_with_a_new_one(guarded: GatewayClient) -> None:
    sent = message(userId="anna")
    path = f"{guarded.url}/v0/stream?sessionId={sent['sessionId']}"
    ends_at = time.time() + 4
    async with read_stream(path, bearer("anna", exp=ends_at)) as first:
        await guarded.ingest(sent, bearer("anna"))
        await first.until(lambda f: f.ended, "it ends")
    assert ends_at - 0.1 <= time.time() < ends_at + 10
    assert first.seqs == [1, 2, 3, 4]
    assert "expired" in first.comments[-1]
    refused(await guarded.get("/v0/stream?sessionId=s", bearer("anna", exp=ends_at)), 401, "INVALID_APP_TOKEN")
    await guarded.ingest(message(userId="anna", sessionId=sent["sessionId"]), bearer("anna"))
    async with read_stream(f"{path}&cursor={first.seqs[-1]}", bearer("anna")) as second:
        await second.until(lambda f: len(f.events) == 4, "the rest comes")
    assert second.seqs == [5, 6, 7, 8]


async def test_a_ticket_opens_its_session_once_on_any_gateway(
    guarded: GatewayClient, gateway: GatewayClient
) -> None:
    sent = message(userId="anna")
    await guarded.ingest(sent, bearer("anna"))
    path = f"/v0/stream?ticket={await ticket_of(guarded, sent['sessionId'], bearer('anna'))}"
    async with read_stream(f"{gateway.url}{path}&cursor=1") as follower:
        await follower.until(lambda f: f.seqs == [2, 3, 4], "it follows from the cursor")
    for again in (guarded, gateway):
        refused(await again.get(path), 401, "INVALID_APP_TOKEN", "ticket: used before")


async def test_of_many_who_show_a_ticket_at_once_one_is_let_in(
    guarded: GatewayClient, gateway: GatewayClient
) -> None:
    ticket = await ticket_of(guarded, unique("session"), bearer("anna"))
    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(
            *(session.get(f"{each.url}/v0/stream?ticket={ticket}") for each in (guarded, gateway) for _ in range(5))
        )
        statuses = sorted(answer.status for answer in answers)
        for answer in answers:
            answer.close()
    assert statuses == [200] + [401] * 9


async def test_a_ticket_is_its_askers_and_ends_with_his_token(guarded: GatewayClient) -> None:
    theirs = message(userId="anna")
    await guarded.ingest(theirs, bearer("anna"))
    ends_at = time.time() + 4
    ticket = await ticket_of(guarded, theirs["sessionId"], bearer("mallory", exp=ends_at))
    async with read_stream(f"{guarded.url}/v0/stream?ticket={ticket}") as follower:
        await follower.until(lambda f: f.ended, "it ends")
    assert follower.events == []


async def test_what_is_no_good_ticket_is_refused(guarded: GatewayClient, guarded_log: Path) -> None:
    session_id = unique("session")
    good = await ticket_of(guarded, session_id, bearer("anna"))
    stranger = Tickets(["another-secret-of-somebody"])
    forged, _ = stranger.issue(session_id, subject="anna", ends_at_ms=None, now_ms=int(time.time() * 1000))
    for bad in ("", "x", good[:-2], good[:-4] + "AAAA", f"{good}AAAA", forged, "x" * 9000, "%C3%A9", good + "%00"):
        refused(await guarded.get(f"/v0/stream?ticket={bad}"), 401, "INVALID_APP_TOKEN", "ticket")
    refused(await guarded.get(f"/v0/stream?ticket={good}&sessionId=other"), 400, "INVALID_REQUEST", "sessionId")
    refused(await guarded.get(f"/v0/stream?ticket={good}&ticket={good}"), 400, "INVALID_REQUEST", "ticket")
    refused(await guarded.get("/v0/stream"), 401, "INVALID_APP_TOKEN", "Authorization")
    async with read_stream(f"{guarded.url}/v0/stream?ticket={good}&sessionId={session_id}"):
        pass  # none of these used it up
    assert good[:40] not in guarded_log.read_text("utf-8")


def test_a_ticket_expires_and_outlives_a_change_of_the_secret() -> None:
    shown, expires_at = Tickets(["old"]).issue("s", subject="anna", ends_at_ms=7, now_ms=1000)
    read = Tickets(["new", "old"]).read(shown, expires_at - 1)
    assert (read.session_id, read.subject, read.ends_at_ms, expires_at) == ("s", "anna", 7, 1000 + TICKET_MS)
    with pytest.raises(Exception, match="expired"):
        Tickets(["old"]).read(shown, expires_at)


async def test_a_stranger_gets_no_ticket_and_a_channel_gets_one_for_a_nonce(guarded: GatewayClient) -> None:
    body = codec.encode({"sessionId": unique("session")})
    refused(await guarded.post(TICKETS, body), 401, "INVALID_APP_TOKEN", "Authorization")
    headers = signed(body)
    assert (await guarded.post(TICKETS, body, headers)).status == 200
    refused(await guarded.post(TICKETS, body, headers), 401, "INVALID_SIGNATURE", "nonce")
