"""The outbox's figures: from the database, where a drill's own rows can be told apart, else as the gateway says."""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg

from uniassist.release.checklist import CheckFailed
from uniassist.release.drill import PREFIX as DRILL_PREFIX
from uniassist.release.smoke import PREFIX as SMOKE_PREFIX
from uniassist.release.talk import document
from uniassist.release.watch.samples import Figures
from uniassist.store import release as store
from uniassist.web.client import CallFailed, JsonClient

COUNT_SECONDS = 10.0
_OWN = (DRILL_PREFIX, SMOKE_PREFIX)


async def from_database(url: str) -> Figures | None:
    """Without the rows of drills and smokes; None when it can't be had."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            connection = await asyncpg.connect(url)
            try:
                dead_letters, attempts = await store.troubles(connection, _OWN)
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    return Figures(asyncio.get_running_loop().time(), dead_letters, attempts)


async def from_gateway(client: JsonClient, url: str) -> Figures | None:
    """By /v0/metrics, a drill's rows included; None when it can't be had."""
    try:
        answer = await client.request("GET", f"{url}/v0/metrics", timeout_seconds=COUNT_SECONDS)
        outbox = document(answer)["metrics"]["outbox"]
        return Figures(asyncio.get_running_loop().time(), int(outbox["deadLetter"]), int(outbox["attemptsTotal"]))
    except (CallFailed, CheckFailed, KeyError, TypeError, ValueError):
        return None


async def hour_before(url: str, moment: datetime) -> tuple[float, float] | None:
    """Dead letters and attempts a minute of the events created in the hour before `moment`; None: not to be had."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            connection = await asyncpg.connect(url)
            try:
                dead_letters, attempts = await store.troubles_in_hour_before(connection, moment, _OWN)
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    return dead_letters / 60, attempts / 60
