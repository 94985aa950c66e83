"""Nonces that are used up outside of a turn."""

from __future__ import annotations

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


async def use(pool: Pool, nonce: str) -> bool:
    """Use it up, for all gateways. False: it was used before."""
    used: bool | None = await pool.fetchval(*statements("gateway")["use_nonce"](nonce=nonce), timeout=5)
    return used is True
