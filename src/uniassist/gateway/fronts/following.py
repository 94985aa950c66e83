"""What came of a request, read from the timeline until it is complete: the same on any instance, and read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec

from uniassist.contracts.base import Wire
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.event_streams import Hub
from uniassist.store import fronts as store
from uniassist.store import timeline
from uniassist.store.server.pool import Pool

# An answer to an interaction has no event that ends it; so often is looked whether its call is over.
LOOK_SECONDS = 0.5
_ENDED = ("completed", "failed", "cancelled", "running")  # running: it stays open, and has said what it has to say
T = TypeVar("T")
Answer: TypeAlias = AsyncGenerator[TimelineEvent | DeltaFrame | None]
_DELTA = b"event: delta\n"


class _Frame(Wire, frozen=True):
    event: TimelineEvent


class _RunShown(msgspec.Struct, frozen=True):
    status: str


class _Said(Wire, frozen=True):
    event: InteractionEvent


@dataclass(frozen=True)
class Requested:
    """A request that is written.

    `cursor`: the seq before it. `trace_id`: its own, of all that came of it.
    `run_id`: an interaction with that run, which may owe it a call; None: an input, or one with the session.
    `others`: runs that it interacts with beside that one.
    `is_input`: it has runs of its own.
    `at_ms`: when, in Unix milliseconds.
    `runs`: those that were known before `cursor`, each with whether it had ended.
    `is_whole`: what is said of its runs later belongs to it, and it isn't over while one stays open.
    """

    session_id: str
    cursor: int
    trace_id: str
    at_ms: int
    is_input: bool
    run_id: str | None = None
    others: frozenset[str] = frozenset()
    runs: Mapping[str, bool] = field(default_factory=dict)
    is_whole: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes, of an input all of whose events were seen: the last commit has them all.

        Of what it interacts with beside, only its calls tell.
        """
        return self.is_input and not self.interacts_with and bool(self.runs) and all(self.runs.values())

    @property
    def interacts_with(self) -> frozenset[str]:
        return self.others if self.run_id is None else self.others | {self.run_id}


@dataclass
class _Progress:
    """How far the answer is. `runs`: of the request, each with whether it has ended."""

    requested: Requested
    cursor: int = 0
    runs: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cursor, self.runs = self.requested.cursor, dict(self.requested.runs)

    def takes(self, event: TimelineEvent) -> bool:
        """Whether it is the next event of the answer."""
        if event.seq <= self.cursor:
            return False
        self.cursor = event.seq
        is_whole, is_own = self.requested.is_whole, event.trace_id == self.requested.trace_id
        if not is_own and event.run_id not in self.runs:
            return False
        # A run that is ended from elsewhere has the traceId of who ended it.
        if not is_own and not is_whole and (event.kind != "provider_run" or self.runs[event.run_id or ""]):
            return False
        if event.kind == "provider_run" and event.run_id is not None:
            self.runs[event.run_id] = has_ended(event) and not (is_whole and run_status(event) == "running")
        return True

    def shows(self, delta: DeltaFrame) -> bool:
        return delta.run_id in self.runs or delta.run_id in self.requested.interacts_with

    @property
    def has_ended(self) -> bool:
        """An input has a run at least; an interaction may open some, by handing over."""
        return all(self.runs.values()) and (bool(self.runs) or not self.requested.is_input)


class Following:
    """Reads answers. What it yields is each durable event once and in order; deltas as they come."""

    def __init__(self, pool: Pool, hub: Hub) -> None:
        self._pool = pool
        self._hub = hub

    async def answer(self, requested: Requested, *, subject: str | None, until: float | None = None) -> Answer:
        """Ends when the answer is complete. None now and then, for who looks whether anybody still listens.

        Stopped where the stream ends before that: the gateway is stopping, or `until` (the loop's time) is over.
        """
        progress = _Progress(requested)
        frames = self._hub.follow(requested.session_id, requested.cursor, subject=subject, until=until)
        async with aclosing(self._chunks(frames, looks=bool(requested.interacts_with))) as chunks:
            async for chunk in chunks:
                for item in parsed(chunk):
                    if isinstance(item, DeltaFrame):
                        if progress.shows(item):
                            yield item
                    elif progress.takes(item):
                        yield item
                if await self._may_be_over(progress):
                    async for event in self._rest(progress, subject):
                        yield event
                    if progress.has_ended:
                        return
                yield None
        raise Stopped

    async def _may_be_over(self, progress: _Progress) -> bool:
        if not progress.has_ended:
            return False
        for run_id in progress.requested.interacts_with:
            if await store.owes_calls(self._pool, run_id):
                return False
        return True

    async def _rest(self, progress: _Progress, subject: str | None) -> AsyncIterator[TimelineEvent]:
        """What the commit that ended the answer wrote behind the event that said so."""
        session_id, more = progress.requested.session_id, True
        while more:  # ends: with the timeline, or its reader
            page = await timeline.read(self._pool, session_id, progress.cursor, subject=subject)
            for event in page.events:
                if progress.takes(event):
                    yield event
            more = page.more

    async def _chunks(self, frames: AsyncIterator[bytes], *, looks: bool) -> AsyncGenerator[bytes]:
        """The hub's frames. `looks`: nothing comes, too, every LOOK_SECONDS."""
        iterator = aiter(frames)
        following = asyncio.ensure_future(_next(iterator))
        try:
            while True:  # ends: with the stream, or its reader
                done, _ = await asyncio.wait({following}, timeout=LOOK_SECONDS if looks else None)
                if not done:
                    yield b""
                    continue
                chunk = following.result()
                if chunk is None:
                    return
                yield chunk
                following = asyncio.ensure_future(_next(iterator))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class Stopped(Exception):
    """The stream ended before the answer was complete, which goes on all the same."""


async def _next(iterator: AsyncIterator[bytes]) -> bytes | None:
    return await anext(iterator, None)


def parsed(chunk: bytes) -> Iterator[TimelineEvent | DeltaFrame]:
    """The hub's own frames: comments, pieces with a name, and events by their id."""
    for frame in chunk.split(b"\n\n"):
        head, _, data = frame.partition(b"data: ")
        if not data:
            continue
        if head.startswith(_DELTA):
            yield msgspec.json.decode(data, type=DeltaFrame)
        else:
            yield msgspec.json.decode(data, type=_Frame).event


def run_status(event: TimelineEvent) -> str:
    """Of a provider_run."""
    return payload_of(event, _RunShown).status


def has_ended(event: TimelineEvent) -> bool:
    """Whether it says that its run has said what it has to say."""
    return event.kind == "provider_run" and run_status(event) in _ENDED


def said_in(event: TimelineEvent) -> InteractionEvent | None:
    """What an event says to its person; None: it is none that does."""
    return payload_of(event, _Said).event if event.kind == "interaction" else None


def payload_of(event: TimelineEvent, shape: type[T]) -> T:
    """As JSON text where it comes from the store, else parsed."""
    if isinstance(event.payload, msgspec.Raw):
        return msgspec.json.decode(event.payload, type=shape)
    return msgspec.convert(event.payload, shape)
