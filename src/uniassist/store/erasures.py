"""Providers that are still to be told of an erasure. Written with it, gone with the provider's answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


@dataclass(frozen=True)
class ProviderErasure:
    """`subjects`: of the person's app tokens. `attempts`: this one counted."""

    user_id: str
    provider_id: str
    subjects: list[str]
    asked_at: dt.datetime
    attempts: int


async def claim(
    pool: Pool, *, limit: int, lease_seconds: float, longest_pause_seconds: float
) -> list[ProviderErasure]:
    """Those that are due. Each comes again after the lease, unless it is ended before."""
    asked = statements("people")["claim_provider_erasures"](
        lease=dt.timedelta(seconds=lease_seconds), longest=dt.timedelta(seconds=longest_pause_seconds), limit=limit
    )
    rows = await pool.fetch(*asked, timeout=5)
    return [ProviderErasure(**dict(row)) for row in rows]


async def end(pool: Pool, erasure: ProviderErasure) -> None:
    """The provider was told. Nothing when the person was erased again meanwhile."""
    asked = statements("people")["provider_erasure_done"](
        user_id=erasure.user_id, provider_id=erasure.provider_id, asked_at=erasure.asked_at
    )
    await pool.execute(*asked, timeout=5)


async def put_off(pool: Pool, erasure: ProviderErasure, *, pause_seconds: float, error: str) -> None:
    """The provider couldn't be told; it is due again after the pause."""
    asked = statements("people")["provider_erasure_failed"](
        user_id=erasure.user_id,
        provider_id=erasure.provider_id,
        asked_at=erasure.asked_at,
        pause=dt.timedelta(seconds=pause_seconds),
        error=error[:500],
    )
    await pool.execute(*asked, timeout=5)
