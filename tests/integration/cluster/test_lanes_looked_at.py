"""What is done in each lane is done in all, whichever of them fails."""

from __future__ import annotations

import pytest

from uniassist.errors import Away, NoPermission
from uniassist.streams.client import Redis, connect
from uniassist.streams.copies import forget_streams
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane, Layout


async def test_a_lane_that_fails_lets_the_others_end_first(redis_url: str) -> None:
    ended = set[int | None]()

    async def look(redis: Redis, lane: Lane) -> None:
        if lane.number == 0:
            raise Away("redis")
        await redis.set(f"uniassist-look{lane.tag}", "")
        await redis.delete(f"uniassist-look{lane.tag}")
        ended.add(lane.number)

    async with LaneClients.to_look(f"{redis_url}?lanes=3") as clients:
        with pytest.raises(Away, match="lane 0"):
            await clients.each(look)
    assert ended == {1, 2}


async def test_copies_are_deleted_in_the_lanes_that_can_be_had(redis_url: str) -> None:
    layout = Layout("uniassist:", "uniassist:all", 2)
    sessions = [next(f"s{n}" for n in range(100) if layout.lane_of(f"s{n}") is lane) for lane in layout.lanes]
    keys = [layout.session_key(each) for each in sessions]
    async with connect(redis_url) as redis:
        for key in keys:
            await redis.xadd(key, {"a": "b"})
        await redis.acl_setuser(
            "forgetful",
            enabled=True,
            passwords=["+forgetful-0123456789"],
            commands=["+del"],
            keys=["uniassist:{1}*"],
        )
        try:
            url = redis_url.replace("://", "://forgetful:forgetful-0123456789@")
            async with LaneClients(f"{url}?lanes=2", layout) as clients:
                with pytest.raises(NoPermission):
                    await clients.first.delete(keys[0])
                await forget_streams(clients, sessions)
        finally:
            await redis.acl_deluser("forgetful")
        assert [await redis.exists(key) for key in keys] == [1, 0]
