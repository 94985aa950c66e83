"""Steady load: turns written as the gateway writes them, and a few bare rows as an operator writes them."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from dataclasses import dataclass, field

import asyncpg

from tests.chaos.poison import Poisons
from tests.integration.delivery.outbox_rows import Outbox

BARE_SESSIONS = ("bare0", "bare1", "bare2", "bare3")
# What a write may end with while its server is being killed; whether it was committed is then unknown.
# InternalClientError is what asyncpg makes of a server that dies in mid-sentence.
WRITE_FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
WRITERS = 4
SESSIONS = 60
# So many rows of a bare session for each poison, about one a second over all four; and the share of turns with one.
POISON_EVERY = 60
POISONED_TURNS = 0.01


@dataclass
class Load:
    """Writes until stopped. `acknowledged`: events whose commit was answered, so that none may be missing.

    Poisons aren't among them.
    """

    outbox: Outbox
    random: random.Random
    turns_per_second: float
    acknowledged: set[str] = field(default_factory=set)
    poisons: Poisons = field(default_factory=Poisons)
    refused: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        turns = (self._write_turns() for _ in range(WRITERS))
        await asyncio.gather(*turns, *(self._write_bare_rows(session) for session in BARE_SESSIONS))

    def stop(self) -> None:
        self._stopping.set()

    async def _write_turns(self) -> None:
        pause_seconds = WRITERS / self.turns_per_second
        while not self._stopping.is_set():
            began = time.monotonic()
            session = f"s{self.random.randrange(SESSIONS)}"
            try:
                self.acknowledged |= set(await self.outbox.write_turn(session, self.random.randint(1, 6)))
                if self.random.random() < POISONED_TURNS:
                    await self.poisons.write_deadly(self.outbox.pool, session)
            except WRITE_FAILURES:
                self.refused += 1
            await self._pause(pause_seconds - (time.monotonic() - began))

    async def _write_bare_rows(self, session: str) -> None:
        """One after the other, so that their order is known."""
        for number in itertools.count():
            if self._stopping.is_set():
                return
            event_id = f"{session}/{number}"
            try:
                if number % POISON_EVERY == BARE_SESSIONS.index(session) * POISON_EVERY // len(BARE_SESSIONS):
                    await self.poisons.write(self.outbox.pool, session, number)
                    continue
                await self.outbox.write_bare(event_id, session)
                self.acknowledged.add(event_id)
            except WRITE_FAILURES:
                self.refused += 1
            await self._pause(0.06)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.001, seconds)):
                await self._stopping.wait()
        except TimeoutError:
            return
