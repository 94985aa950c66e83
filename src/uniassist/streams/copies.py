"""Copies of timelines on session streams, once what they say is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from uniassist.errors import ServerFault
from uniassist.streams.client import Redis

log = structlog.get_logger()


async def forget_streams(redis: Redis, prefix: str, session_ids: Sequence[str]) -> None:
    """Delete the session streams' copies of what was erased. Without Redis they expire by themselves."""
    if not session_ids:
        return
    try:
        async with asyncio.timeout(2.0):
            await redis.delete(*(f"{prefix}{session_id}" for session_id in session_ids))
    except (ServerFault, TimeoutError) as error:
        log.warning("session streams of an erased person not deleted", error=repr(error))
