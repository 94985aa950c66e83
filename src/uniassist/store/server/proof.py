"""Proof that Postgres takes our writes: answering isn't enough, since standbys and full servers answer as well."""

from __future__ import annotations

import asyncio
from typing import Literal

from uniassist.errors import Away
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

PROOF_DEADLINE_SECONDS = 0.8


async def prove_writing(
    pool: Pool, table: Literal["sessions", "outbox_events", "wechat_people", "plans", "reminders"]
) -> None:
    """A commit in one round trip that leaves nothing behind. A ServerFault says why the service can't write.

    `table`: one that the service writes to; that it is missing shows as well.
    """
    parts = ("small_memory", "durable", "room", table, "logged")
    sql = "; ".join(statements("proof")[part].sql for part in parts)
    asked = asyncio.create_task(pool.execute(sql))
    asked.add_done_callback(_heard)
    try:
        done, _ = await asyncio.wait({asked}, timeout=PROOF_DEADLINE_SECONDS)
    finally:
        # Nobody waits for its end: a server that hangs doesn't confirm that the statement was cancelled.
        asked.cancel()
    if not done:
        await pool.doubt()
        raise Away("postgres", "no answer in time")
    await asked


def _heard(asked: asyncio.Task[str]) -> None:
    """Whatever it ended with, too late for anybody."""
    if not asked.cancelled():
        asked.exception()
