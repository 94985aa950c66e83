"""Leases of the calls that providers are owed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uniassist.store.ledger import CallRow
from uniassist.store.pool import Pool
from uniassist.store.queries import load

PRUNED_AT_ONCE = 5000


async def renew(pool: Pool, call_ids: Sequence[str], *, owner: str, lease_seconds: float) -> None:
    """Keep the leases of the calls under way; one that went to another gateway stays there."""
    lease = dt.timedelta(seconds=lease_seconds)
    await pool.execute(load("gateway")["renew_calls"], call_ids, owner, lease, timeout=5)


async def take_over(
    pool: Pool, *, owner: str, lease_seconds: float, limit: int, but_of: Sequence[str] = ()
) -> list[tuple[CallRow, int]]:
    """Calls whose gateway died, with the attempt that is now to be made; none of the providers `but_of`."""
    lease = dt.timedelta(seconds=lease_seconds)
    rows = await pool.fetch(load("gateway")["take_over_calls"], owner, lease, limit, but_of, timeout=5)
    names = CallRow.__struct_fields__
    return [(CallRow(**{name: row[name] for name in names}), row["attempt"]) for row in rows]


async def release(pool: Pool, call_ids: Sequence[str], *, owner: str) -> None:
    """Let any gateway take these calls over at once."""
    await pool.execute(load("gateway")["renew_calls"], call_ids, owner, dt.timedelta(0), timeout=2)


async def forget(pool: Pool, call_id: str, *, owner: str) -> None:
    """Settle a call whose answer has nowhere to go; its run is over. Nothing when another gateway has its lease."""
    await pool.execute(load("gateway")["forget_call"], call_id, owner, timeout=5)


async def prune(pool: Pool, *, keys_older_than: dt.timedelta) -> bool:
    """Forget expired nonces and old idempotency keys, some thousands at a time; True when there may be more."""
    nonces = await pool.fetchval(load("gateway")["prune_nonces"], PRUNED_AT_ONCE, timeout=10)
    keys = await pool.fetchval(load("gateway")["prune_keys"], keys_older_than, PRUNED_AT_ONCE, timeout=10)
    return bool(PRUNED_AT_ONCE in (nonces, keys))
