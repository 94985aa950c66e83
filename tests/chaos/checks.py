"""What must hold, whatever happened: looked at before each loss of data and at the end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tests.chaos.load import BARE_SESSIONS, WRITE_FAILURES
from tests.chaos.poison import MARK, is_poison
from tests.chaos.sightings import CLOCK_MS, Sightings, place_of
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox, StreamEntry
from uniassist.delivery.engine import SESSION_STREAM_LENGTH
from uniassist.streams import epoch as epochs

# What has to be on its session stream: consumed, and written after a time ($1), or owed ($2), or confirmed in an
# epoch ($3) of which nothing is lost. A poison has a time of its own, and a fate of its own (see poison.py).
_ON_STREAM = f"""
SELECT event_id, session_id FROM outbox_events
WHERE status = 'consumed' AND (created_at > $1 OR event_id = ANY ($2::text[]) OR epoch = $3)
  AND event_id NOT LIKE '%/{MARK}-%'
"""
# Confirmed after the shard was settled, in another epoch.
_STALE = """
SELECT o.event_id, o.session_id, o.epoch
FROM outbox_events o JOIN delivery_shards s ON s.shard = hashtext(o.session_id) & 31
WHERE o.status = 'consumed' AND o.consumed_at > s.settled_at AND o.epoch IS DISTINCT FROM s.epoch
"""
# Confirmed in one of the epochs $1, after a time ($2).
_CONFIRMED = """
SELECT event_id, session_id, epoch, consumed_at FROM outbox_events
WHERE status = 'consumed' AND epoch = ANY ($1::text[]) AND consumed_at > $2
"""
# A shard that goes back to an older epoch may be in the newer one again soon: the database itself notes it.
_NOTE_REVERTED = """
CREATE TABLE chaos_reverted (number bigserial, shard integer, before text, after text);
CREATE FUNCTION chaos_note_reverted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_reverted (shard, before, after) VALUES (OLD.shard, OLD.epoch, NEW.epoch);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_reverted AFTER UPDATE ON delivery_shards FOR EACH ROW
WHEN (NEW.epoch < OLD.epoch) EXECUTE FUNCTION chaos_note_reverted();
"""
_REVERTED = "SELECT number, shard, before, after FROM chaos_reverted WHERE number > $1 ORDER BY number"
_CONSUMED_IN = """
SELECT event_id, session_id FROM outbox_events
WHERE status = 'consumed' AND epoch = $1 AND event_id = ANY ($2::text[])
"""
LOOK_SECONDS = 1.0
# How far back each look goes over what was confirmed: a commit shows later than its time says.
LOOK_BACK = dt.timedelta(seconds=30)
FINDINGS = (
    "out_of_order",
    "overtaken",
    "twice",
    "wrong_id",
    "skipped",
    "astray",
    "stale",
    "early",
    "unread",
    "undead",
    "reverted",
)


@dataclass
class Findings:
    """Counts over the whole run; those named in FINDINGS must stay 0.

    `skipped`: not on the session stream; `astray`: on the global stream only; `stale`: confirmed by what was
    published before its shard was settled; `early`: confirmed in an epoch before it was published in it; `unread`:
    confirmed in an epoch in which no consumer was given it;
    `overtaken`: first on the global stream of an epoch behind a successor; `undead`: published in an epoch after
    its data was lost; `reverted`: a shard settled in an epoch before the one that it was settled in.
    """

    streams_checked: int = 0
    entries_checked: int = 0
    owed: int = 0
    out_of_order: int = 0
    twice: int = 0
    wrong_id: int = 0
    skipped: int = 0
    astray: int = 0
    stale: int = 0
    early: int = 0
    unread: int = 0
    overtaken: int = 0
    undead: int = 0
    reverted: int = 0
    first_at: float | None = None
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, where: str) -> None:
        self.first_at = self.first_at or time.monotonic()
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {where}")

    @property
    def counts(self) -> dict[str, int]:
        """What must stay 0."""
        return {name: getattr(self, name) for name in FINDINGS}

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())


class Checks:
    """Session streams within one epoch of Redis's data: seq order, each event once, none left out.

    `owed`: events that a loss took before any consumer was given them, and that Postgres hasn't as consumed, both
    as known after the loss. They must come again. Those that one was given need not: it may write that it has seen
    them after the data went, until their shard is settled.
    """

    def __init__(self, outbox: Outbox, sightings: Sightings) -> None:
        self._outbox = outbox
        self._sightings = sightings
        self._noted = {"overtaken": 0, "undead": 0}
        self._early: set[str] = set()
        self._unread: set[str] = set()
        self._sentinel: object = None
        self._confirmed_until = dt.datetime.min.replace(tzinfo=dt.UTC) + LOOK_BACK
        self._owed: set[str] = set()
        self._given: set[str] = set()
        self._given_in: set[tuple[str, str]] = set()  # events with their epochs, whose group is gone
        self._read_ms: dict[str, int] = {}  # of the last entry that any group was given in an epoch
        self._stale: set[str] = set()
        self._reverted = 0
        self.findings = Findings()

    async def begin(self) -> None:
        """Once on a database, which notes some of it itself."""
        await self._outbox.pool.execute(_NOTE_REVERTED)

    async def look(self, since: dt.datetime) -> None:
        """`since`: from when on nothing was lost, so that what is consumed of later events must be there."""
        # Before the session streams: what is consumed by now, or on the global stream, was there before.
        rows = await self._outbox.pool.fetch(_ON_STREAM, since, list(self._owed), await self._epoch_that_holds())
        published = await self._on_global_stream()
        await self.look_at_confirmations()
        await self._look_at_sightings()
        expected: dict[str, list[str]] = {}
        for row in rows:
            expected.setdefault(row["session_id"], []).append(row["event_id"])
        for session in await self._sessions() | set(expected) | set(published):
            entries = await self._outbox.session_stream(session)
            self.findings.streams_checked += 1
            self.findings.entries_checked += len(entries)
            self._check(session, entries)
            self._check_present("skipped", session, entries, expected.get(session, ()))
            self._check_present("astray", session, entries, published.get(session, ()))
        self._owed -= {row["event_id"] for row in rows}

    async def keep_looking(self, over: Callable[[], bool]) -> None:
        """At what costs little, all the time."""
        while not over():
            with contextlib.suppress(RedisError, *WRITE_FAILURES):
                await self.look_at_confirmations()
                await self._look_at_sightings()
            await asyncio.sleep(LOOK_SECONDS)

    async def look_at_confirmations(self) -> None:
        """Those that count although they may not."""
        for stale in await self._outbox.pool.fetch(_STALE):
            if stale["event_id"] not in self._stale:
                self._stale.add(stale["event_id"])
                self.findings.note("stale", f"{stale['session_id']} {stale['event_id']}: {stale['epoch']}")

        for row in await self._outbox.pool.fetch(_REVERTED, self._reverted):
            self._reverted = row["number"]
            self.findings.note("reverted", f"shard {row['shard']} from {row['before']} to {row['after']}")
        await self._look_at_unread()

    async def _look_at_unread(self) -> None:
        """What Postgres has as consumed in this epoch, and no consumer was given in it, before nor after."""
        epoch = await self._epoch_that_holds()
        if epoch is None:
            return
        unread = await self._unread_in(epoch)
        rows = await self._outbox.pool.fetch(_CONSUMED_IN, epoch, list(unread)) if unread else []
        if not rows or await self._epoch_that_holds() != epoch:
            return
        still = await self._unread_in(epoch)
        for row in rows:
            if row["event_id"] in still and row["event_id"] not in self._unread:
                self._unread.add(row["event_id"])
                self.findings.note("unread", f"{row['session_id']} {row['event_id']}: {epoch}")

    async def _unread_in(self, epoch: str) -> set[str]:
        """Published in the epoch, and not given to the group, nor to one that was in its place before.

        One that was published twice in it may have been given the first time, of which trimming left nothing.
        """
        async with self._outbox.redis.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_groups(GLOBAL)
            pipeline.xrange(GLOBAL)
            groups, entries = await pipeline.execute(raise_on_error=False)
        if isinstance(groups, Exception) or isinstance(entries, Exception):
            return set()
        found: dict[bool, set[str]] = {True: set(), False: set()}
        read_up_to = _read_up_to(groups)
        self._note_read_up_to(epoch, read_up_to)
        for at, fields in entries:
            if fields.get(b"epoch", b"").decode() == epoch:
                found[_number(at) <= read_up_to].add(fields[b"eventId"].decode())
        return {
            each
            for each in found[False] - found[True]
            if (each, epoch) not in self._given_in and not self._was_given_first(each, epoch)
        }

    def _note_read_up_to(self, epoch: str, entry_id: tuple[int, int]) -> None:
        self._read_ms[epoch] = max(entry_id[0], self._read_ms.get(epoch, 0))

    def _was_given_first(self, event_id: str, epoch: str) -> bool:
        first_ms = self._sightings.first_ms(event_id, epoch)
        return first_ms is not None and first_ms <= self._read_ms[epoch]

    async def _look_at_sightings(self) -> None:
        for what, found in (("overtaken", self._sightings.overtaken), ("undead", self._sightings.undead)):
            for where in found[self._noted[what] :]:
                self.findings.note(what, where)
            self._noted[what] = len(found)
        since = self._confirmed_until - LOOK_BACK
        for row in await self._outbox.pool.fetch(_CONFIRMED, self._sightings.epochs, since):
            event_id, at = row["event_id"], row["consumed_at"]
            self._confirmed_until = max(self._confirmed_until, at)
            first_ms = self._sightings.first_ms(event_id, row["epoch"])
            if first_ms is None or first_ms <= at.timestamp() * 1000 + CLOCK_MS or event_id in self._early:
                continue
            self._early.add(event_id)
            late_ms = first_ms - at.timestamp() * 1000
            self.findings.note(
                "early", f"{row['session_id']} {event_id}: {row['epoch']}, {late_ms:.0f} ms before it was published"
            )

    async def before_loss(self, since: dt.datetime, *lose: str) -> None:
        """`look`, then note what no consumer was given, and run the command `lose` in the same moment."""
        await self.look(since)
        await self.losing_epoch(*lose)
        await self.leave_out_consumed()

    async def leave_out_consumed(self) -> None:
        """After a loss: what Postgres has as consumed by now isn't owed."""
        owed, self._owed = self._owed, set()
        try:
            consumed = await self._outbox.pool.fetch(
                "SELECT event_id FROM outbox_events WHERE event_id = ANY ($1) AND status = 'consumed'", list(owed)
            )
        except WRITE_FAILURES:
            return  # Postgres is away: nobody knows what is owed, and the loss goes on
        self._owed = owed - {row["event_id"] for row in consumed}
        self.findings.owed += len(self._owed)

    async def losing_group(self, *lose: str) -> set[str]:
        """Note what the group was given, run the command `lose` in the same moment; returns what it was not."""
        async with self._outbox.redis.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_groups(GLOBAL)
            pipeline.xrange(GLOBAL)
            pipeline.get(epochs.sentinel_key(GLOBAL))
            pipeline.execute_command(*lose)
            groups, entries, self._sentinel, _ = await pipeline.execute(raise_on_error=False)
        if isinstance(groups, Exception) or isinstance(entries, Exception):
            return set()  # no stream just now: nothing was published that could be owed
        read_up_to = _read_up_to(groups)
        by_read: dict[bool, set[str]] = {True: set(), False: set()}
        for at, fields in entries:
            event_id, is_read = fields[b"eventId"].decode(), _number(at) <= read_up_to
            if is_read:
                epoch = fields.get(b"epoch", b"").decode()
                self._given_in.add((event_id, epoch))
                self._note_read_up_to(epoch, read_up_to)
            if not is_poison(event_id):
                by_read[is_read].add(event_id)
        self._given |= by_read[True]
        return by_read[False]

    async def losing_epoch(self, *lose: str) -> None:
        """As `losing_group`; the epoch is over with it, and what nobody was given is owed."""
        unread = await self.losing_group(*lose)
        self._owed = (self._owed | unread) - self._given
        if isinstance(self._sentinel, bytes):
            self._sightings.lost(self._sentinel.decode().partition(":")[0])

    async def _epoch_that_holds(self) -> str | None:
        found = await epochs.read(self._outbox.redis, GLOBAL)
        return found.name if found is not None and found.holds else None

    async def _on_global_stream(self) -> dict[str, list[str]]:
        """Events by session."""
        found: dict[str, list[str]] = {}
        for entry in await self._outbox.stream(GLOBAL):
            if "streamKey" in entry.fields and not is_poison(entry.event_id):
                session = entry.fields["streamKey"].removeprefix(PREFIX)
                found.setdefault(session, []).append(entry.event_id)
        return found

    async def _sessions(self) -> set[str]:
        keys = [key.decode() async for key in self._outbox.redis.scan_iter(match=f"{PREFIX}*", count=1000)]
        return {key.removeprefix(PREFIX) for key in keys if key != GLOBAL}

    def _check(self, session: str, entries: Sequence[StreamEntry]) -> None:
        found = [entry.event_id for entry in entries]
        for event_id in _repeated(found):
            self.findings.note("twice", f"{session} {event_id}")
        order = [place_of(event_id) for event_id in found]
        for at in range(1, len(order)):
            if order[at] < order[at - 1]:
                self.findings.note("out_of_order", f"{session} {found[max(0, at - 2) : at + 2]}")
        for entry in entries:
            if session not in BARE_SESSIONS and entry.entry_id != f"{place_of(entry.event_id)}-0":
                self.findings.note("wrong_id", f"{session} {entry.event_id} under {entry.entry_id}")

    def _check_present(
        self, what: str, session: str, entries: Sequence[StreamEntry], expected: Sequence[str]
    ) -> None:
        present = {entry.event_id for entry in entries}
        was_trimmed = len(entries) >= SESSION_STREAM_LENGTH
        for event_id in expected:
            if event_id not in present and not (was_trimmed and place_of(event_id) < place_of(entries[0].event_id)):
                self.findings.note(what, f"{session} {event_id}")


def _number(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def _read_up_to(groups: Sequence[dict[str, bytes]]) -> tuple[int, int]:
    """Where our group is on the stream."""
    return next((_number(each["last-delivered-id"]) for each in groups if each["name"] == GROUP.encode()), (0, 0))


def _repeated(found: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for event_id in found:
        if event_id in seen:
            yield event_id
        seen.add(event_id)
