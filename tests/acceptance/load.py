"""Inputs through the gateway for as long as something else happens, and the count of what was lost of them."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg

from tests.waiting import eventually

SESSIONS = 20
TEXT = "帮我安排一个计划"


@dataclass
class Load:
    """`acknowledged`: trace ids that were answered with 200, none of which may be missing; `refused` were not."""

    url: str
    per_second: float
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    longest_gap_seconds: float = 0.0
    _name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def prefix(self) -> str:
        return f"load-{self._name}-"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        number, last = 0, time.monotonic()
        while not self._stopping.is_set():
            trace = f"{self.prefix}{number}"
            number += 1
            if self._sent(trace, number):
                self.acknowledged.add(trace)
                self.longest_gap_seconds = max(self.longest_gap_seconds, time.monotonic() - last)
                last = time.monotonic()
            else:
                self.refused += 1
            self._stopping.wait(1 / self.per_second)

    def _sent(self, trace: str, number: int) -> bool:
        body = {
            "schemaVersion": "v0",
            "traceId": trace,
            "userId": f"user-{number % SESSIONS}",
            "sessionId": f"{self.prefix}s{number % SESSIONS}",
            "source": "app",
            "timestampMs": int(time.time() * 1000),
            "text": f"{TEXT} {number}",
        }
        request = urllib.request.Request(
            f"{self.url}/v0/ingest", msgspec.json.encode(body), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@dataclass(frozen=True)
class Lost:
    """`inputs` that were acknowledged and aren't on their timeline; `events` on a timeline that nobody consumed."""

    inputs: int
    events: int
    gaps: int


async def lost(load: Load, database_url: str, deadline_seconds: float = 60.0) -> Lost:
    """After the load: waits until all is consumed, as long as the deadline allows."""

    def left() -> Lost:
        with psycopg.connect(database_url) as connection:
            return _lost(connection, load)

    found = left()
    try:
        await eventually(lambda: left().events == 0, "all events are consumed", deadline_seconds, 0.5)
    except AssertionError:
        return left()
    return Lost(found.inputs, 0, found.gaps)


def _lost(connection: psycopg.Connection[Any], load: Load) -> Lost:
    pattern = f"{load.prefix}%"
    rows = connection.execute(
        "SELECT trace_id FROM timeline_events WHERE kind = 'inbound' AND trace_id LIKE %s", (pattern,)
    ).fetchall()
    waiting = connection.execute(
        "SELECT count(*) FROM timeline_events t LEFT JOIN outbox_events o USING (event_id)"
        " WHERE t.session_id LIKE %s AND o.status IS DISTINCT FROM 'consumed'",
        (pattern,),
    ).fetchone()
    gaps = connection.execute(
        "SELECT count(*) FROM (SELECT max(seq) - count(*) AS missing FROM timeline_events"
        " WHERE session_id LIKE %s GROUP BY session_id) s WHERE missing <> 0",
        (pattern,),
    ).fetchone()
    assert waiting is not None
    assert gaps is not None
    return Lost(len(load.acknowledged - {row[0] for row in rows}), waiting[0], gaps[0])
