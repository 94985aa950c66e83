"""The context that a provider gets with a call."""

from __future__ import annotations

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.provider import ContextPackage, ContextSession, ContextUser
from uniassist.store.ledger import Session


def package(session: Session, *, locale: str | None = None, timezone: str | None = None) -> ContextPackage:
    """A session as a provider sees it. Who has the scope may read more of the user, under the profileRef.

    `locale`, `timezone`: the person's, where they are known.
    """
    profile_ref = f"profile:{session.user_id}"
    return ContextPackage(
        schema_version="v0",
        user=ContextUser(user_id=session.user_id, locale=locale, timezone=timezone, subject=session.subject),
        # Cut short it would name another user.
        profile_ref=profile_ref if len(profile_ref) <= MAX_ID_LENGTH else None,
        session=ContextSession(session_id=session.session_id, recent_events_cursor=session.seq),
        permissions=["context:read"],
    )
