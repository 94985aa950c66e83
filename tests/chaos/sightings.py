"""When each event first came to the global stream in each epoch, seen by a reader that belongs to no group."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from redis.exceptions import RedisError

from tests.integration.delivery.outbox_rows import GLOBAL, Outbox

EPOCHS_KEPT = 8
READ_COUNT = 1000
BLOCK_MS = 500
PAUSE_SECONDS = 0.05
# All servers read the same clock, Redis in whole milliseconds.
CLOCK_MS = 5

_Answer = Sequence[tuple[bytes, Sequence[tuple[bytes, dict[bytes, bytes]]]]]


@dataclass
class _Epoch:
    """`first_ms`: event → the server's clock when it was first appended; `highest`: session → place of its last."""

    first_ms: dict[str, int] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)


@dataclass
class Sightings:
    """`overtaken`: events that came for the first time in an epoch behind a successor of their session.

    `undead`: events that came in an epoch after its data was lost.
    """

    outbox: Outbox
    overtaken: list[str] = field(default_factory=list)
    undead: list[str] = field(default_factory=list)
    _lost_ms: dict[str, int] = field(default_factory=dict)
    _epochs: dict[str, _Epoch] = field(default_factory=dict)
    _last: bytes = b"0-0"

    @property
    def epochs(self) -> list[str]:
        return list(self._epochs)

    def first_ms(self, event_id: str, epoch: str) -> int | None:
        seen = self._epochs.get(epoch)
        return None if seen is None else seen.first_ms.get(event_id)

    def lost(self, epoch: str) -> None:
        """Its data is gone, in part or whole, and nothing may be published in it from now on."""
        self._lost_ms[epoch] = int(time.time() * 1000) + CLOCK_MS

    async def watch(self) -> None:
        """Until cancelled. While the server is away nothing comes; ids go on rising on whatever comes after it."""
        while True:
            try:
                answer = await self.outbox.redis.xread({GLOBAL: self._last}, count=READ_COUNT, block=BLOCK_MS)
            except (RedisError, OSError):
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            for _, entries in cast(_Answer, answer or ()):
                for entry_id, fields in entries:
                    self._last = entry_id
                    self._saw(entry_id, fields)

    def _saw(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        event_id, session = fields[b"eventId"].decode(), fields[b"sessionId"].decode()
        name = fields.get(b"epoch", b"").decode()
        at_ms = int(entry_id.partition(b"-")[0])
        if at_ms > self._lost_ms.get(name, at_ms):
            self.undead.append(f"{session} {event_id} in {name}")
        epoch = self._epochs.setdefault(name, _Epoch())
        while len(self._epochs) > EPOCHS_KEPT:
            del self._epochs[min(self._epochs)]
        if event_id in epoch.first_ms:
            return
        epoch.first_ms[event_id] = at_ms
        place = place_of(event_id)
        if place < epoch.highest.get(session, -1):
            self.overtaken.append(f"{session} {event_id} after {epoch.highest[session]} in {name}")
        epoch.highest[session] = max(place, epoch.highest.get(session, -1))


@asynccontextmanager
async def watched(outbox: Outbox) -> AsyncIterator[Sightings]:
    sightings = Sightings(outbox)
    watching = asyncio.create_task(sightings.watch())
    try:
        yield sightings
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def place_of(event_id: str) -> int:
    """The event's place in its session, which its id tells: `<session>/<seq>/…`."""
    return int(event_id.split("/")[1])
