"""Who may touch a session. A session that the caller may not see looks just like an unknown one."""

from __future__ import annotations

from uniassist.errors import InvalidSignature, SessionNotFound
from uniassist.store.ledger import Session


def check(session: Session, *, user_id: str, signed: bool) -> None:
    """SessionNotFound for another's session; InvalidSignature where only signed calls are taken."""
    if session.user_id != user_id:
        raise SessionNotFound("sessionId: no such session")
    if session.signed and not signed:
        raise InvalidSignature("x-uniassist-signature: required, since this session was opened by a signed source")
