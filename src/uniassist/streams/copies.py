"""Copies of timelines on session streams, once what they say is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from uniassist.errors import ServerFault
from uniassist.streams.client import Redis
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane

log = structlog.get_logger()


async def forget_streams(clients: LaneClients, session_ids: Sequence[str]) -> None:
    """Delete the session streams' copies of what was erased. Without Redis they expire by themselves."""
    if not session_ids:
        return
    keys: dict[Lane, list[str]] = {}
    for each in session_ids:
        lane = clients.layout.lane_of(each)
        keys.setdefault(lane, []).append(lane.session_key(each))

    async def forget(redis: Redis, lane: Lane) -> None:
        if lane in keys:
            await redis.delete(*keys[lane])

    try:
        async with asyncio.timeout(2.0):
            await clients.each(forget)
    except (ServerFault, TimeoutError) as error:
        log.warning("session streams of an erased person not deleted", error=repr(error))
