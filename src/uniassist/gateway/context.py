"""The context that a provider gets with a call."""

from __future__ import annotations

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.provider import ContextPackage, ContextSession, ContextUser


def package(*, user_id: str, session_id: str, seq: int, locale: str | None, timezone: str | None) -> ContextPackage:
    """`seq` is where the session's timeline stands; a provider with the scope may read on from the profileRef."""
    profile_ref = f"profile:{user_id}"
    return ContextPackage(
        schema_version="v0",
        user=ContextUser(user_id=user_id, locale=locale, timezone=timezone),
        # Cut short it would name another user.
        profile_ref=profile_ref if len(profile_ref) <= MAX_ID_LENGTH else None,
        session=ContextSession(session_id=session_id, recent_events_cursor=seq),
        permissions=["context:read"],
    )
