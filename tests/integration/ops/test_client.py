"""The client library against a gateway that is killed: each message once, each event once, in order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import aiohttp
import jwt
import pytest
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.client import Away, Client, Refused
from uniassist.contracts.timeline import TimelineEvent

KEY = "test-app-key-0123456789-0123456789"
MESSAGES = 30
_APPS = {"UNIASSIST_APP_AUTH": "jwt", "UNIASSIST_APP_JWT_KEY": KEY}


class Tokens:
    """Whoever fetches tokens for an app. `bad`: so many of the next are none."""

    def __init__(self) -> None:
        self.fetched = 0
        self.bad = 0

    async def __call__(self) -> str:
        self.fetched += 1
        if self.bad:
            self.bad -= 1
            return "none"
        return jwt.encode({"sub": "u-7", "exp": int(time.time()) + 600}, KEY, algorithm="HS256")


def _has(found: list[Any], count: int) -> bool:
    return len(found) >= count


def texts_of(events: list[TimelineEvent]) -> list[str]:
    return [event.payload["input"]["text"] for event in events if event.kind == "inbound"]


async def test_a_talk_goes_on_over_a_gateway_that_is_killed_and_back(
    database_url: str, redis_url: str, service: Callable[..., ServiceProcess]
) -> None:
    gateway = service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, **_APPS)
    followed: list[TimelineEvent] = []
    sent: list[str] = []

    async with Client(gateway.url, user_id="u-7", token=Tokens(), patience_seconds=90) as client:

        async def follow() -> None:
            async with aclosing(client.follow("talk")) as events:
                async for event in events:
                    followed.append(event)

        async def talk() -> None:
            for number in range(MESSAGES):
                ack = await client.send(f"message {number}", session_id="talk")
                assert ack.session_id == "talk"
                sent.append(f"message {number}")

        following, talking = asyncio.create_task(follow()), asyncio.create_task(talk())
        try:
            for part in (5, 15):
                await eventually(partial(_has, sent, part), f"{part} are sent", 60)
                await eventually(partial(_has, followed, 1), "some came", 60)
                gateway.kill()
                await asyncio.to_thread(gateway.start)
            async with asyncio.timeout(90):
                await talking
            whole = [event async for event in client.timeline("talk")]
            await eventually(lambda: len(followed) >= len(whole), "the follower has all", 60)
        finally:
            for task in (following, talking):
                task.cancel()
            await asyncio.gather(following, talking, return_exceptions=True)

    assert Counter(texts_of(whole)) == Counter(sent), "each once, though some were sent twice"
    assert texts_of(whole) == sent
    assert [event.seq for event in followed] == list(range(1, len(whole) + 1))
    assert [event.event_id for event in followed] == [event.event_id for event in whole]


@pytest.fixture
def gateway(database_url: str, redis_url: str, service: Callable[..., ServiceProcess]) -> ServiceProcess:
    return service("gateway", DATABASE_URL=database_url, REDIS_URL=redis_url, **_APPS)


async def test_what_a_client_can_do(gateway: ServiceProcess) -> None:
    tokens = Tokens()
    async with Client(gateway.url, user_id="u-7", token=tokens, patience_seconds=30) as client:
        first = await client.send("hello", session_id="able", key="once", at_ms=1_700_000_000_000)
        assert await client.send("hello", session_id="able", key="once", at_ms=1_700_000_000_000) == first
        tokens.bad = 1
        with pytest.raises(Refused) as mismatched:
            await client.send("something else", session_id="able", key="once")
        assert (mismatched.value.status, mismatched.value.code) == (422, "IDEMPOTENCY_CONFLICT")
        assert tokens.fetched == 4, "a token that was refused is fetched anew, once"

        asked: dict[str, Any] = {
            "session_id": first.session_id,
            "provider_id": "builtin_chat",
            "run_id": first.runs[0].run_id if first.runs else "none",
            "action_id": "new_session:",
        }
        answered = await client.interact(**asked, key="again")
        assert answered.new_session_id
        assert (await client.interact(**asked, key="another")).accepted

        with pytest.raises(Refused) as unknown:
            await client.cancel(session_id="able", run_id="run/of nobody")
        assert unknown.value.status == 404

        ticket = await client.ticket("able")
        async with (
            aiohttp.ClientSession() as browser,
            browser.get(f"{gateway.url}/v0/stream", params={"ticket": ticket.ticket, "cursor": "0"}) as stream,
        ):
            assert stream.status == 200

        tokens.bad = 1
        async with aclosing(client.follow("able")) as events:
            assert (await anext(events)).seq == 1, "by a token that was fetched anew"

    async with Client(gateway.url, user_id="u-7", token="none") as stranger:
        with pytest.raises(Refused) as refused:
            await stranger.send("hello", session_id="able")
        assert refused.value.status == 401
        with pytest.raises(Refused) as unheard:
            await anext(stranger.follow("able"))
        assert unheard.value.status == 401


async def test_a_gateway_that_is_away_is_said_after_the_patience() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url, user_id="u-7", patience_seconds=0.5) as client:
        with pytest.raises(Away):
            await client.send("hello", session_id="nowhere")
        with pytest.raises(Away):
            await anext(client.follow("nowhere", resume=False))
