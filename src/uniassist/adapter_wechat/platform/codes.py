"""The platform's `errcode`s and what each of them means for a message. Pure.

Source: the platform's table of global return codes; the reading of those that it leaves open is ours.
"""

from __future__ import annotations

import re
from enum import Enum


class Verdict(Enum):
    """What became of a message, or what has to be done first."""

    SENT = "sent"
    UNKNOWN = "unknown"  # it may have arrived: never repeated
    UNSENT = "unsent"  # it never left: try later
    BUSY = "busy"  # the platform asks to come back; a resend may double
    STALE_TOKEN = "stale token"  # noqa: S105
    ACCOUNT = "account"  # our address isn't on the account's list: a person must act
    TOO_LONG = "too long"
    RATE_LIMITED = "rate limited"
    WINDOW_OVER = "window over"
    QUOTA_USED = "quota used"
    NOT_PERMITTED = "not permitted"  # this account may only answer passively
    REFUSED = "refused"


_VERDICTS = {
    0: Verdict.SENT,
    -1: Verdict.BUSY,
    40001: Verdict.STALE_TOKEN,
    40014: Verdict.STALE_TOKEN,
    42001: Verdict.STALE_TOKEN,
    40164: Verdict.ACCOUNT,
    61004: Verdict.ACCOUNT,
    45002: Verdict.TOO_LONG,
    45009: Verdict.RATE_LIMITED,
    45011: Verdict.RATE_LIMITED,
    45015: Verdict.WINDOW_OVER,
    45047: Verdict.QUOTA_USED,
    48001: Verdict.NOT_PERMITTED,
}

# These say that the app id or the secret is wrong; asking again changes nothing until somebody has mended it.
MISCONFIGURED = frozenset({40002, 40013, 40125, 40164, 61004, 40243})

_RID = re.compile(r"\brid: ?([0-9A-Za-z-]{1,64})")


def verdict_of(code: int) -> Verdict:
    """REFUSED for whatever the table doesn't know: said of this message, and repeated it would be said again."""
    return _VERDICTS.get(code, Verdict.REFUSED)


def rid_of(message: str) -> str | None:
    """The request's id that the platform's support asks for."""
    found = _RID.search(message)
    return found[1] if found else None
