"""Rows that no worker can deliver, or that look so: each is to end by itself, and alone."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.integration.delivery.outbox_rows import GLOBAL
from uniassist.streams.epoch import sentinel_key

MARK = "poison"
# With the short backoff of the run's workers, a poison is over within a second of work.
MAX_ATTEMPTS = 3
INTEGER_MAX = 2**31 - 1
DEEP_LEVELS = 1_000
OVERSIZE_BYTES = 5 * 1024 * 1024
# Above the proto-max-bulk-len that the run's Redis has, below what the engine takes.
BULKY_BYTES = 3 * 1024 * 1024 // 2
TOO_LONG_KEY = "k" * 1025
LONG_SESSION_BYTES = 6_400

_INSERT = """
INSERT INTO outbox_events (event_id, session_id, payload, max_attempts, attempts, created_at, next_retry_at)
VALUES ($1, $2, $3::jsonb, $4, $5, $6::text::timestamptz, $7::text::timestamptz)
"""
# Poisons that aren't where they belong, with a reason. One that can't be written as failed spends no attempt.
_UNBURIED = """
SELECT event_id, status, attempts, last_error FROM outbox_events
WHERE event_id = ANY ($1::text[]) AND (status <> 'dead_letter' OR coalesce(last_error, '') = '')
"""


@dataclass(frozen=True)
class Poison:
    """`must_die`: no server could take it; else it may be consumed as well, whichever the engine holds right."""

    name: str
    must_die: bool
    payload: Callable[[], str] = lambda: '{"n": 1}'
    session: Callable[[str], str] = lambda session: session
    attempts: int = 0
    max_attempts: int = MAX_ATTEMPTS
    created_at: str = "now"
    next_retry_at: str = "now"


def _to(**stream: str) -> str:
    return json.dumps({"stream": stream})


def _long_session(_session: str) -> str:
    return secrets.token_hex(LONG_SESSION_BYTES // 2)  # random: an index can't compress it


KINDS = (
    Poison("deep", False, lambda: '{"a":' * DEEP_LEVELS + "1" + "}" * DEEP_LEVELS),
    Poison("oversize", True, lambda: json.dumps({"text": "x" * OVERSIZE_BYTES})),
    Poison("bulky", True, lambda: json.dumps({"text": "x" * BULKY_BYTES})),
    Poison("key-too-long", True, lambda: _to(key=TOO_LONG_KEY)),
    Poison("wrong-type", True, lambda: _to(key=sentinel_key(GLOBAL))),
    Poison("other-global-wrong-type", True, lambda: _to(globalKey=sentinel_key(GLOBAL))),
    Poison("long-session", True, lambda: _to(key=TOO_LONG_KEY), session=_long_session),
    Poison("attempts-at-most", True, lambda: _to(key=TOO_LONG_KEY), attempts=INTEGER_MAX, max_attempts=INTEGER_MAX),
    Poison("created-never", False, created_at="infinity"),
    Poison("created-always", False, created_at="-infinity"),
    Poison("seq-of-no-number", False, lambda: '{"event": {"seq": 1e400}}'),
)


@dataclass
class Poisons:
    """What was written; `counts` by kind."""

    must_die: set[str] = field(default_factory=set)
    may_die: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    _next: Iterator[Poison] = field(default_factory=lambda: itertools.cycle(KINDS))
    _next_deadly: Iterator[Poison] = field(default_factory=lambda: itertools.cycle(k for k in KINDS if k.must_die))

    async def write(self, pool: asyncpg.Pool, session: str, number: int) -> None:
        """The next kind, at its place in a bare session."""
        await self._write(next(self._next), pool, session, number)

    async def write_deadly(self, pool: asyncpg.Pool, session: str) -> None:
        """The next kind that never comes to a stream, so that it needs no place there, in any session."""
        await self._write(next(self._next_deadly), pool, session, 0)

    async def _write(self, kind: Poison, pool: asyncpg.Pool, session: str, number: int) -> None:
        whose = kind.session(session)
        event_id = f"{session}/{number}/{MARK}-{kind.name}-{secrets.token_hex(3)}"
        values: tuple[Any, ...] = (kind.payload(), kind.max_attempts, kind.attempts)
        await pool.execute(_INSERT, event_id, whose, *values, kind.created_at, kind.next_retry_at)
        (self.must_die if kind.must_die else self.may_die).add(event_id)
        self.counts[kind.name] = self.counts.get(kind.name, 0) + 1

    async def unburied(self, pool: asyncpg.Pool) -> list[str]:
        """Those that should be dead letters with a reason and aren't, or are neither that nor consumed."""
        rows = await pool.fetch(_UNBURIED, list(self.must_die))
        rows += [row for row in await pool.fetch(_UNBURIED, list(self.may_die)) if row["status"] != "consumed"]
        return [
            f"{row['event_id']}: {row['status']}, {row['attempts']} attempts, {row['last_error']}" for row in rows
        ]


def is_poison(event_id: str) -> bool:
    return f"/{MARK}-" in event_id
