"""Copies of timelines on session streams, once what they say is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from uniassist.errors import ServerFault
from uniassist.streams.lane_clients import LaneClients

log = structlog.get_logger()


async def forget_streams(clients: LaneClients, session_ids: Sequence[str]) -> None:
    """Delete the session streams' copies of what was erased. Without Redis they expire by themselves."""
    if not session_ids:
        return
    try:
        async with asyncio.timeout(2.0):
            for lane, redis in clients:
                keys = [lane.session_key(each) for each in session_ids if clients.layout.lane_of(each) is lane]
                if keys:
                    await redis.delete(*keys)
    except (ServerFault, TimeoutError) as error:
        log.warning("session streams of an erased person not deleted", error=repr(error))
