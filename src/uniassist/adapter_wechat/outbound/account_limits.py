"""What the platform's answers say of the whole account: how long a text may be, and when it takes no calls."""

from __future__ import annotations

import time

import structlog

from uniassist.adapter_wechat.outbound.next_message import LEAST_BYTES, LONGEST_PAUSE_SECONDS
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.adapter_wechat.platform.client import SendOutcome
from uniassist.adapter_wechat.platform.codes import Verdict

log = structlog.get_logger()

# By errcode, for everybody: the platform counts 45011 by the minute and 45009 by the day.
_PAUSES = {40164: 60.0, 61004: 60.0, 45011: 60.0, 45009: 900.0}
LONGEST_ACCOUNT_PAUSE_SECONDS = max(LONGEST_PAUSE_SECONDS, *_PAUSES.values())


class AccountLimits:
    """Learned from the outcomes of messages. Several are under way at once, so no outcome undoes another's lesson.

    limit_bytes: of a message's text, in UTF-8.
    """

    def __init__(self, permission: Permission, limit_bytes: int) -> None:
        self._permission = permission
        self._paused_until = 0.0
        self.limit_bytes = limit_bytes

    @property
    def paused_seconds(self) -> float:
        return max(0.0, self._paused_until - time.monotonic())

    def heed(self, text: str, outcome: SendOutcome) -> None:
        """Learn from the outcome of a message that said `text`."""
        match outcome.verdict:
            case Verdict.NOT_PERMITTED:
                self._permission.deny(outcome.detail)
            case Verdict.ACCOUNT | Verdict.RATE_LIMITED:
                self._pause(outcome)
            case Verdict.TOO_LONG:
                self.limit_bytes = max(LEAST_BYTES, min(self.limit_bytes, len(text.encode()) * 2 // 3))
                log.warning("the platform takes less; lower WECHAT_TEXT_BYTES", limit_bytes=self.limit_bytes)
            case Verdict.BUSY | Verdict.UNSENT | Verdict.STALE_TOKEN | Verdict.REFUSED:
                log.warning("the platform did not take a message", reason=outcome.detail)

    def _pause(self, outcome: SendOutcome) -> None:
        seconds = _PAUSES.get(outcome.code or 0, LONGEST_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        said = (
            "the platform refuses this app or its address; see docs/wechat.md"
            if outcome.verdict is Verdict.ACCOUNT
            else "the platform limits this account's calls"
        )
        log.error(said, reason=outcome.detail, paused_seconds=seconds)
