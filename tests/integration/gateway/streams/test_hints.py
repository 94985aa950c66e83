"""Hints: each session's newest seq gets out, also what comes while a hint is on its way."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.waiting import eventually

from uniassist.gateway.hints import Hints
from uniassist.streams import wake
from uniassist.streams.client import Redis, connect


async def test_a_session_is_a_channel_and_workers_have_one_for_all(redis_url: str) -> None:
    async with connect(redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.psubscribe("test:*")
        assert await heard.get_message(timeout=10) is None, "the answer to the subscription"
        await wake.publish(redis, "test:", {"s": 1, "ü": 2})
        said = [await heard.get_message(timeout=10) for _ in range(3)]
    channels = [each["channel"].decode() for each in said if each is not None]
    assert channels == ["test:wake", "test:moved:s", "test:moved:ü"]


async def test_what_moves_again_while_its_hint_is_on_its_way_goes_with_the_next(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, sent = wake.publish, list[dict[str, int]]()

    async def publish_slowly(redis: Redis, prefix: str, moved: Mapping[str, int]) -> None:
        sent.append(dict(moved))
        if len(sent) == 1:
            hints.give({"s": 2})
        await publish(redis, prefix, moved)

    monkeypatch.setattr(wake, "publish", publish_slowly)
    async with connect(redis_url) as redis:
        hints = Hints(redis, "test:")
        hints.give({"s": 1, "quiet": 7})
        await eventually(lambda: len(sent) == 2, "the second hint is out")
        await hints.stop()
    assert sent == [{"s": 1, "quiet": 7}, {"s": 2}]
