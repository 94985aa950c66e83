"""The user context that providers may read: built from what the user last sent, kept for a while."""

from __future__ import annotations

import datetime as dt

import msgspec

from uniassist.contracts import codec
from uniassist.contracts.base import JsonObject
from uniassist.contracts.provider import UserContext
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

_KEPT = dt.timedelta(minutes=5)


class _Snapshot(msgspec.Struct):
    """Operators write these rows too: what they left out or left empty is empty, what they added is ignored."""

    profile: JsonObject | None = None
    preferences: JsonObject | None = None
    consents: JsonObject | None = None


async def read(pool: Pool, profile_ref: str, user_id: str, *, proven: bool) -> UserContext:
    """The cached snapshot, or a new one. An unknown user has an empty one.

    `proven`: what came without a token or a signature says nothing of the user.
    """
    queries = statements("gateway")
    cached = await pool.fetchrow(*queries["cached_context"](profile_ref=profile_ref), timeout=10)
    if cached is not None:
        snapshot = msgspec.json.decode(cached["snapshot"], type=_Snapshot)
        return UserContext(
            profile=snapshot.profile or {},
            preferences=snapshot.preferences or {},
            consents=snapshot.consents or {},
            updated_at=cached["updated_at_ms"],
        )
    last = await pool.fetchrow(*queries["last_input"](user_id=user_id, proven=proven), timeout=10)
    preferences = {name: value for name, value in dict(last).items() if value is not None} if last else {}
    fresh = {"profile": {"userId": user_id}, "preferences": preferences, "consents": {}}
    snapshot_json = codec.encode(fresh).decode()
    kept = await pool.fetchval(
        *queries["keep_context"](profile_ref=profile_ref, user_id=user_id, snapshot=snapshot_json, kept_for=_KEPT),
        timeout=10,
    )
    return UserContext(profile=fresh["profile"], preferences=preferences, consents={}, updated_at=kept)
