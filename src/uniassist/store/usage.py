"""How much each has used in the window under way, as far as the gateways have told."""

from __future__ import annotations

import datetime as dt

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


async def add(pool: Pool, who: str, what: str, window: dt.datetime, amount: int) -> int:
    """What all gateways have told of this window, `amount` among it. `window`: when it began."""
    asked = statements("usage")["add"](who=who, what=what, window=window, amount=amount)
    found: int = await pool.fetchval(*asked, timeout=5)
    return found


async def prune(pool: Pool, *, limit: int) -> int:
    """Windows that ended long ago; how many rows went."""
    found: int = await pool.fetchval(*statements("usage")["prune"](limit=limit), timeout=10)
    return found
