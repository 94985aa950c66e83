"""How a call of the gateway can fail, and which failures are worth another try."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
# What passes by itself: too much just now; a gateway that starts, stops or is full; a proxy before one.
PASSING = frozenset({429, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 60.0


class ClientError(Exception):
    """Base of both; its text may be shown, and holds no token."""


class Away(ClientError):
    """No answer, within all the patience that there was; whether the gateway acted isn't known."""


class Refused(ClientError):
    """The gateway said no.

    status: of the answer. code: the contract's, such as RATE_LIMITED; empty: the answer was no problem of ours.
    retry_after_seconds: when another try may do; None: not said.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {detail}" if code else detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    @property
    def passes(self) -> bool:
        return self.status in PASSING


class _Problem(msgspec.Struct, frozen=True):
    code: str
    detail: str


def refusal(url: str, status: int, body: bytes, headers: Mapping[str, str]) -> Refused:
    """What an answer other than 2xx says. `headers` in lower case."""
    after = headers.get("retry-after", "")
    seconds = min(float(after), _LONGEST_WAIT_SECONDS) if after.isascii() and after.isdigit() else None
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refused(status, "", f"{url}: answered {status}", seconds)
    return Refused(status, problem.code, problem.detail, seconds)


@dataclass
class Pauses:
    """Between tries: each about twice as long as the last, so that clients don't all come back at once."""

    _next: float = field(default=FIRST_PAUSE_SECONDS)

    def reset(self) -> None:
        self._next = FIRST_PAUSE_SECONDS

    def take(self) -> float:
        """Seconds."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
        self._next = min(self._next * 2, LONGEST_PAUSE_SECONDS)
        return pause
