"""A gateway of the release before, which hears text on the channel of all only, beside ones of this release."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import Redis as Plain
from redis.client import PubSub
from tests.integration.gateway.streaming.test_live_exchange import KEY, Gateway, gateway, listening
from tests.waiting import eventually

CHANNEL = "x:live"


class Older:
    """What that release said, as it said it; and what it heard."""

    def __init__(self, redis: Plain) -> None:
        self._redis = redis
        self._subscription = PubSub(redis.connection_pool, ignore_subscribe_messages=True)
        self._subscription.subscribe(CHANNEL)
        self.batches: list[dict[str, Any]] = []

    def say(self, **batch: Any) -> None:
        self._redis.publish(CHANNEL, b"older\n" + json.dumps(batch).encode())

    def text(self) -> str:
        """Of the message, as far as it was told without a hole."""
        while message := self._subscription.get_message(timeout=0.01):  # ends: nothing more has come
            self.batches.append(json.loads(message["data"].partition(b"\n")[2]))
        found = ""
        for batch in self.batches:
            for *_, offset, text in batch.get("pieces", ()):
                if offset <= len(found):
                    found = found[:offset] + text if offset + len(text) > len(found) else found
        return found

    def close(self) -> None:
        self._subscription.close()


@asynccontextmanager
async def two(redis_url: str) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """One that writes, and one with a reader; they know that nobody is older."""
    async with gateway(redis_url, "a", follows=None) as a, gateway(redis_url, "b") as b:
        await eventually(listening(redis_url, 2), "both listen")
        await eventually(lambda: not (a.exchange._tells_all or b.exchange._tells_all), "text is told by session")
        yield a, b


async def test_its_readers_see_what_is_written_here_and_ours_what_is_written_there(redis_url: str) -> None:
    async with two(redis_url) as (a, b):
        with Plain.from_url(redis_url) as redis:
            a.write("before ")
            await eventually(lambda: b.text() == "before ", "it crossed")
            assert redis.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 2)]
            older = Older(redis)
            older.say(asks=True)  # as it did when it began to listen
            await eventually(lambda: older.text() == "before ", "the text so far")
            a.write("after ")
            await eventually(lambda: older.text() == b.text() == "before after ", "both are told")
            older.say(pieces=[["s", "run-9", "m", "alice", 1, 0, "there"]])
            await eventually(lambda: b.text(("run-9", "m")) == "there", "what it writes is seen here")
            older.say(pieces=[["s", "run-8", "m", "alice", 1, 5, "hole"]])
            await eventually(
                lambda: older.text() and any(each.get("asks") for each in older.batches), "it is asked for"
            )
            a.board.end("s", KEY, 1)
            await eventually(lambda: b.text() is None, "its end crossed")
            await eventually(lambda: older.text() and any(each.get("over") for each in older.batches), "there too")
            older.close()
            await eventually(lambda: not a.exchange._tells_all, "it is gone")
            a.write("by session", ("run-2", "m"))
            await eventually(lambda: b.text(("run-2", "m")) == "by session", "it crossed")


async def test_one_that_listens_without_a_word_is_noticed(redis_url: str) -> None:
    """By who counts, with whatever is told next: it is told everything then, so that it needn't ask."""
    async with two(redis_url) as (a, b):
        with Plain.from_url(redis_url) as redis:
            a.write("before ")
            await eventually(lambda: b.text() == "before ", "it crossed")
            older = Older(redis)
            a.write("after")
            await eventually(lambda: older.text() == "before after", "it has all")
            older.close()
            await eventually(lambda: not a.exchange._tells_all, "it is gone")


async def test_what_an_older_one_began_is_forgotten_once_it_is_gone(redis_url: str) -> None:
    """Where nobody follows it: its end wouldn't be heard."""
    async with two(redis_url) as (a, b):
        with Plain.from_url(redis_url) as redis:
            older = Older(redis)
            older.say(pieces=[["s", *KEY, "alice", 1, 0, "there"], ["t", *KEY, "alice", 1, 0, "too"]])
            await eventually(lambda: a.text() == b.text() == "there", "it crossed")
            assert b.text(session_id="t") == "too", "for whoever begins to follow it"
            older.close()
            await eventually(lambda: a.text() is None and b.text(session_id="t") is None, "forgotten")
            assert b.text() == "there"
