"""The outbox's metrics: from the database, where a drill's own rows can be told apart, else as the gateway says."""

from __future__ import annotations

import asyncio
from datetime import datetime

from uniassist.errors import ServerFault
from uniassist.release.checks.injected import DRILL_PREFIX, SMOKE_PREFIX
from uniassist.release.checks.service_client import json_body
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.watch.triggers.samples import OutboxMetrics
from uniassist.store import release as store
from uniassist.store.server import pool
from uniassist.web.calling.client import CallFailed, JsonClient

COUNT_SECONDS = 10.0
_OWN = (DRILL_PREFIX, SMOKE_PREFIX)


async def from_database(url: str) -> OutboxMetrics | None:
    """Without the rows of drills and smokes; None when it can't be had."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            connection = await pool.connect(url)
            try:
                dead_letters, attempts = await store.troubles(connection, _OWN)
            finally:
                connection.terminate()
    except (ServerFault, TimeoutError):
        return None
    return OutboxMetrics(asyncio.get_running_loop().time(), dead_letters, attempts)


async def from_gateway(client: JsonClient, url: str) -> OutboxMetrics | None:
    """By /v0/metrics, a drill's rows included; None when it can't be had."""
    try:
        answer = await client.request("GET", f"{url}/v0/metrics", timeout_seconds=COUNT_SECONDS)
        outbox = json_body(answer)["metrics"]["outbox"]
        dead_letters, attempts = int(outbox["deadLetter"]), int(outbox["attemptsTotal"])
        return OutboxMetrics(asyncio.get_running_loop().time(), dead_letters, attempts)
    except (CallFailed, CheckFailed, KeyError, TypeError, ValueError):
        return None


async def hour_before(url: str, moment: datetime) -> tuple[float, float] | None:
    """Dead letters and attempts a minute of the events created in the hour before `moment`; None: not to be had."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            connection = await pool.connect(url)
            try:
                dead_letters, attempts = await store.troubles_in_hour_before(connection, moment, _OWN)
            finally:
                connection.terminate()
    except (ServerFault, TimeoutError):
        return None
    return dead_letters / 60, attempts / 60
