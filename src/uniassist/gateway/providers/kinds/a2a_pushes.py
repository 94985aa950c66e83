"""What A2A agents push: that a task has moved. Nothing that they send is believed; the task is looked up.

A run's URL and token follow from its id and our secret, so that any gateway takes a push for any run.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

PATH = "/a2a/pushed/"


class Pushes:
    """`public_url`: where agents reach this gateway. `secrets`: the first makes tokens, each is taken."""

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        self._public_url = public_url.rstrip("/")
        self._secrets = secrets
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def url(self, run_id: str) -> str:
        return f"{self._public_url}{PATH}{run_id}"

    def token(self, run_id: str) -> str:
        """What an agent shows with a push for the run, and for nothing else."""
        return _token(run_id, self._secrets[0])

    def takes(self, run_id: str, token: str) -> bool:
        shown = token.encode()
        return any(hmac.compare_digest(_token(run_id, secret).encode(), shown) for secret in self._secrets)

    @contextmanager
    def waiting(self, run_id: str) -> Iterator[asyncio.Event]:
        """Set by the next push for the run, at whichever gateway."""
        event = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(event)  # a run may owe several answers
        try:
            yield event
        finally:
            waiting = self._waiting[run_id]
            waiting.discard(event)
            if not waiting:
                del self._waiting[run_id]

    def wake(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            for event in self._waiting.get(run_id, ()):
                event.set()


def _token(run_id: str, secret: str) -> str:
    return hmac.digest(secret.encode(), f"a2a-push\n{run_id}".encode(), hashlib.sha256).hex()[:48]
