"""The consumer groups that living workers read: more than one, and each gets every event."""

from __future__ import annotations

from uniassist.release.checks.stream_entries import consumers, groups
from uniassist.release.report.checklist import expect
from uniassist.settings import redis_url as redis_urls
from uniassist.store import release as store
from uniassist.store.server import pool
from uniassist.streams.client import Redis
from uniassist.streams.group import WECHAT_GROUP
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Layout

# A worker that was given another group leaves a consumer in the old one, which asks for nothing any more. Before
# Redis 7.2 waiting for entries doesn't count as asking, but an ingest was consumed just now.
IDLE_MS = 15_000


async def expect_one_group(database_url: str, redis_url: str, global_key: str, expected: str) -> str:
    """How many groups and workers there are. CheckFailed where they read in several, or not in the expected."""
    async with await pool.connect(database_url) as connection:
        alive = {worker.rsplit(":", 2)[0] for worker in await store.live_workers(connection)}
    layout = Layout("", global_key, redis_urls.parsed(redis_url).lanes)
    async with LaneClients(redis_url, layout, is_command=True) as clients:
        found = await clients.each(lambda redis, lane: _reading(redis, lane.global_key, alive))
    reading = list(dict.fromkeys(group for lane in found for group in lane))
    workers = f"{len(alive)} {'worker' if len(alive) == 1 else 'workers'}"
    expect(
        len(reading) < 2,
        f"the {workers} read in {len(reading)} groups ({', '.join(reading)}), so that each event is delivered more "
        "than once: one of them has another UNIASSIST_STREAM_GROUP",
    )
    expect(
        not reading or reading == [expected],
        f"the {workers} read in the group {', '.join(reading)}; the env set's UNIASSIST_STREAM_GROUP is {expected}",
    )
    return f"{workers} in {len(reading)} group" if reading else f"{workers}; their group couldn't be told"


async def _reading(redis: Redis, key: str, alive: set[str]) -> list[str]:
    found = []
    for group in await groups(redis, key):
        idle = [ms for name, ms in (await consumers(redis, key, group)).items() if name in alive]
        if group != WECHAT_GROUP and idle and min(idle) < IDLE_MS:
            found.append(group)
    return found
