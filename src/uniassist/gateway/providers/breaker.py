"""A breaker: after failures in a row a provider isn't called for a while, then tried once."""

from __future__ import annotations

from typing import Literal


class Breaker:
    """`now` is a monotonic clock in seconds, given by the caller."""

    def __init__(self, *, failures_to_open: int = 5, open_seconds: float = 10.0) -> None:
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._failures = 0
        self._closed_again_at = 0.0

    @property
    def failures(self) -> int:
        """In a row."""
        return self._failures

    def state(self, now: float) -> Literal["closed", "open", "trial due"]:
        """As it stands, without a trial being spent on the question."""
        if self._failures < self._failures_to_open:
            return "closed"
        return "open" if now < self._closed_again_at else "trial due"

    def allows(self, now: float) -> bool:
        """True when closed; and once, as a trial, each time the open time has passed."""
        if self._failures < self._failures_to_open:
            return True
        if now < self._closed_again_at:
            return False
        self._closed_again_at = now + self._open_seconds
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def refused(self, now: float) -> None:
        """The provider found fault with this request: neither a failure nor a sign that it can answer others.

        An open breaker gets its trial back, or else one person's bad requests would keep it open for everyone.
        """
        self._closed_again_at = min(self._closed_again_at, now)

    def failed(self, now: float) -> None:
        self._failures += 1
        if self._failures >= self._failures_to_open:
            self._closed_again_at = now + self._open_seconds
