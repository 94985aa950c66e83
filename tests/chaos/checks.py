"""What must hold, whatever happened: looked at before each loss of data and at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.load import BARE_SESSIONS, WRITE_FAILURES
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox, StreamEntry
from uniassist.delivery.engine import SESSION_STREAM_LENGTH


@dataclass
class Findings:
    """Counts over the whole run; all but the first three must stay 0."""

    streams_checked: int = 0
    entries_checked: int = 0
    owed: int = 0
    out_of_order: int = 0
    twice: int = 0
    wrong_id: int = 0
    skipped: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, where: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {where}")

    @property
    def clean(self) -> bool:
        return self.out_of_order == self.twice == self.wrong_id == self.skipped == 0


class Checks:
    """Session streams within one epoch of Redis's data: seq order, each event once, none left out.

    `owed`: events that a loss took before any consumer was given them. They must come again. Those that one was
    ever given need not: it may write that it has seen them long after the group, or the data, is another.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._owed: set[str] = set()
        self._given: set[str] = set()
        self.findings = Findings()

    async def look(self, since: dt.datetime) -> None:
        """`since`: from when on nothing was lost, so that what is consumed of later events must be there."""
        # The rows first: what is consumed by now was on its stream before.
        rows = await self._outbox.pool.fetch(
            "SELECT event_id, session_id FROM outbox_events "
            "WHERE status = 'consumed' AND (created_at > $1 OR event_id = ANY ($2))",
            since,
            list(self._owed),
        )
        expected: dict[str, list[str]] = {}
        for row in rows:
            expected.setdefault(row["session_id"], []).append(row["event_id"])
        for session in await self._sessions() | set(expected):
            entries = await self._outbox.session_stream(session)
            self.findings.streams_checked += 1
            self.findings.entries_checked += len(entries)
            self._check(session, entries, expected.get(session, []))
        self._owed -= {row["event_id"] for row in rows}

    async def before_loss(self, since: dt.datetime, *lose: str) -> None:
        """`look`, then note what no consumer was given, and run the command `lose` in the same moment."""
        await self.look(since)
        unread = await self.losing_group(*lose)
        try:
            consumed = await self._outbox.pool.fetch(
                "SELECT event_id FROM outbox_events WHERE event_id = ANY ($1) AND status = 'consumed'", list(unread)
            )
        except WRITE_FAILURES:
            return  # Postgres is away: nobody knows what is owed, and the loss goes on
        self._owed |= unread - self._given - {row["event_id"] for row in consumed}
        self.findings.owed += len(self._owed)

    async def losing_group(self, *lose: str) -> set[str]:
        """Note what the group was given, run the command `lose` in the same moment; returns what it was not."""
        async with self._outbox.redis.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_groups(GLOBAL)
            pipeline.xrange(GLOBAL)
            pipeline.execute_command(*lose)
            groups, entries, _ = await pipeline.execute(raise_on_error=False)
        if isinstance(groups, Exception) or isinstance(entries, Exception):
            return set()  # no stream just now: nothing was published that could be owed
        read_up_to = next((_number(g["last-delivered-id"]) for g in groups if g["name"] == GROUP.encode()), (0, 0))
        by_read: dict[bool, set[str]] = {True: set(), False: set()}
        for at, fields in entries:
            by_read[_number(at) <= read_up_to].add(fields[b"eventId"].decode())
        self._given |= by_read[True]
        return by_read[False]

    async def _sessions(self) -> set[str]:
        keys = [key.decode() async for key in self._outbox.redis.scan_iter(match=f"{PREFIX}*", count=1000)]
        return {key.removeprefix(PREFIX) for key in keys if key != GLOBAL}

    def _check(self, session: str, entries: Sequence[StreamEntry], expected: Sequence[str]) -> None:
        found = [entry.event_id for entry in entries]
        for event_id in _repeated(found):
            self.findings.note("twice", f"{session} {event_id}")
        order = [_place(event_id) for event_id in found]
        for at in range(1, len(order)):
            if order[at] < order[at - 1]:
                self.findings.note("out_of_order", f"{session} {found[max(0, at - 2) : at + 2]}")
        for entry in entries:
            if session not in BARE_SESSIONS and entry.entry_id != f"{_place(entry.event_id)}-0":
                self.findings.note("wrong_id", f"{session} {entry.event_id} under {entry.entry_id}")
        present = set(found)
        was_trimmed = len(entries) >= SESSION_STREAM_LENGTH
        for event_id in expected:
            if event_id not in present and not (was_trimmed and _place(event_id) < order[0]):
                self.findings.note("skipped", f"{session} {event_id}")


def _place(event_id: str) -> int:
    """The event's place in its session, which its id tells: `<session>/<seq>/…`."""
    return int(event_id.split("/")[1])


def _number(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def _repeated(found: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for event_id in found:
        if event_id in seen:
            yield event_id
        seen.add(event_id)
