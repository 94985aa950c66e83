"""Who may touch a session. A session that the caller may not see looks just like an unknown one."""

from __future__ import annotations

from dataclasses import dataclass

from uniassist.contracts.inputs import WECHAT_SESSION, WECHAT_USER
from uniassist.errors import InvalidSignature, SessionNotFound
from uniassist.store.ledger import Session


@dataclass(frozen=True)
class Caller:
    """Who a request comes from.

    `signed`: it carries a channel's good signature.
    `subject`: of the app token; None where apps need none.
    """

    signed: bool
    subject: str | None = None


# Of channels whose names can be guessed: nobody without their signature may take one before they do.
CHANNEL_SESSIONS, CHANNEL_USERS = (WECHAT_SESSION,), (WECHAT_USER,)


def check_names(session_id: str, user_id: str, caller: Caller) -> None:
    """InvalidSignature when a session or user of a channel's is named without its signature."""
    if not caller.signed and (session_id.startswith(CHANNEL_SESSIONS) or user_id.startswith(CHANNEL_USERS)):
        raise InvalidSignature("x-uniassist-signature: required for a session or user of a signed source")


def check(session: Session, *, user_id: str, caller: Caller) -> None:
    """SessionNotFound for another's session; InvalidSignature where only signed calls are taken."""
    if session.user_id != user_id:
        raise SessionNotFound("sessionId: no such session")
    if session.signed and not caller.signed:
        raise InvalidSignature("x-uniassist-signature: required, since this session was opened by a signed source")
    if caller.subject is not None and session.subject != caller.subject:
        raise SessionNotFound("sessionId: no such session")
