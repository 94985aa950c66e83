"""Leases of the calls that providers are owed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uniassist.store import usage
from uniassist.store.ledger import CallRow
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

PRUNED_AT_ONCE = 5000


async def renew(pool: Pool, call_ids: Sequence[str], *, owner: str, lease_seconds: float) -> None:
    """Keep the leases of the calls under way; one that went to another gateway stays there."""
    lease = dt.timedelta(seconds=lease_seconds)
    statement = statements("gateway")["renew_calls"]
    await pool.execute(*statement(call_ids=call_ids, owner=owner, lease=lease), timeout=5)


async def in_vain(pool: Pool, call_ids: Sequence[str]) -> set[str]:
    """Those of the calls whose answers nobody waits for: their persons cancelled, or others answered them."""
    rows = await pool.fetch(*statements("gateway")["calls_in_vain"](call_ids=call_ids), timeout=5)
    return {row["call_id"] for row in rows}


async def written_events(pool: Pool, scope: str) -> int:
    """How many events of a call are on the timeline: `scope` is that of their keys."""
    return int(await pool.fetchval(*statements("gateway")["count_keys"](scope=scope), timeout=5))


async def overdue_runs(pool: Pool, limit: int) -> list[tuple[str, str]]:
    """Open runs whose time is over, with their sessions."""
    rows = await pool.fetch(*statements("gateway")["overdue_runs"](limit=limit), timeout=5)
    return [(row["run_id"], row["session_id"]) for row in rows]


async def forget_run(pool: Pool, run_id: str) -> None:
    """End an open run that has no timeline any more."""
    await pool.execute(*statements("gateway")["forget_run"](run_id=run_id), timeout=5)


async def take_over(
    pool: Pool,
    *,
    owner: str,
    lease_seconds: float,
    limit: int,
    known_providers: Sequence[str],
    patience_seconds: float,
    exclude_providers: Sequence[str] = (),
) -> list[tuple[CallRow, int]]:
    """Calls whose gateway died, with the attempt that is due. Those of `exclude_providers` stay.

    Those of providers beside the `known_providers` stay for `patience_seconds` after their lease: where gateways'
    providers files differ, as they do while a new one is rolled out, who knows the provider should make the call.
    """
    rows = await pool.fetch(
        *statements("gateway")["take_over_calls"](
            owner=owner,
            lease=dt.timedelta(seconds=lease_seconds),
            limit=limit,
            known_providers=known_providers,
            patience=dt.timedelta(seconds=patience_seconds),
            exclude_providers=exclude_providers,
        ),
        timeout=5,
    )
    names = CallRow.__struct_fields__
    return [(CallRow(**{name: row[name] for name in names}), row["attempt"]) for row in rows]


async def release(pool: Pool, call_ids: Sequence[str], *, owner: str) -> None:
    """Let any gateway take these calls over at once."""
    statement = statements("gateway")["renew_calls"]
    await pool.execute(*statement(call_ids=call_ids, owner=owner, lease=dt.timedelta(0)), timeout=2)


async def forget(pool: Pool, call_id: str, *, owner: str) -> None:
    """End a call whose answer has nowhere to go; its run is over. Nothing when another gateway has its lease."""
    await pool.execute(*statements("gateway")["forget_call"](call_id=call_id, owner=owner), timeout=5)


async def prune(pool: Pool, *, keys_older_than: dt.timedelta) -> bool:
    """Forget expired nonces, old keys and old usage, some thousands at a time; True when there may be more."""
    queries = statements("gateway")
    nonces = await pool.fetchval(*queries["prune_nonces"](limit=PRUNED_AT_ONCE), timeout=10)
    keys = await pool.fetchval(*queries["prune_keys"](older_than=keys_older_than, limit=PRUNED_AT_ONCE), timeout=10)
    windows = await usage.prune(pool, limit=PRUNED_AT_ONCE)
    return PRUNED_AT_ONCE in (nonces, keys, windows)
