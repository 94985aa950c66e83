"""What is deleted when a person unfollows, in one transaction."""

from __future__ import annotations

import datetime as dt

from uniassist.store import people
from uniassist.store.people import Erased
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


async def erase(pool: Pool, openid: str, left_at: dt.datetime) -> Erased | None:
    """Everything that `openid` said and was told, on the gateway's side too; timelines keep their numbering.

    What they did until `left_at` isn't received any more. None: this is known, or they have come back since.
    """
    leave = statements("wechat")["leave"]
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        session_ids = await people.lock(connection, f"{people.WECHAT}{openid}")
        if await connection.fetchrow(*leave(openid=openid, left_at=left_at)) is None:
            return None
        media = await people.erase_wechat(connection, openid)
        await people.erase_said(connection, f"{people.WECHAT}{openid}")
    return Erased(session_ids, media)
