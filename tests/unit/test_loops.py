"""A loop that is stopped doesn't sit out a wait that nothing else ends: its service would, each time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from uniassist.adapter_wechat.outbound import stream_reader
from uniassist.delivery.consumer import Consumer
from uniassist.lifecycle import Loop
from uniassist.streams.epoch import Epoch

LONG_SECONDS = 3600.0


class Waiter:
    """What a loop does: `given` is what its waits come to."""

    def __init__(self) -> None:
        self.given: list[object] = []
        self.waits = asyncio.Event()
        self.was_cancelled = False
        self.heard: list[object] = []
        self.loop = Loop("waits", self.once)

    async def once(self) -> float:
        self.heard.append(await self.loop.unless_stopped(self.wait))
        return 0.0

    async def wait(self) -> object:
        if self.given:
            return self.given.pop(0)
        self.waits.set()
        try:
            await asyncio.sleep(LONG_SECONDS)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return None


async def in_time(loop: Loop) -> None:
    async with asyncio.timeout(60):
        await loop.stop(LONG_SECONDS)
    assert not loop.alive


async def test_what_it_waits_for_is_heard_until_it_is_stopped() -> None:
    waiter = Waiter()
    waiter.given = ["a", "b"]
    waiter.loop.start()
    await waiter.waits.wait()
    await in_time(waiter.loop)
    assert waiter.heard == ["a", "b", None]
    assert waiter.was_cancelled


async def test_one_that_is_cancelled_leaves_no_wait_behind() -> None:
    waiter = Waiter()
    waiter.loop.start()
    await waiter.waits.wait()
    await asyncio.gather(*(cancelled(task) for task in asyncio.all_tasks() if task.get_name() == "waits"))
    assert waiter.was_cancelled


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_fault_of_the_wait_is_the_loops() -> None:
    async def breaks() -> None:
        raise OSError("away")

    async def once() -> float:
        await loop.unless_stopped(breaks)
        return 0.0

    loop = Loop("breaks", once)
    with pytest.raises(OSError, match="away"):
        await once()


class Entries:
    """A group without entries, whose reads wait."""

    key = "global"

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.left: list[object] = []
        self.acknowledged: list[object] = []

    async def read_new(self, **_: object) -> list[object]:
        self.waits.set()
        await asyncio.sleep(LONG_SECONDS)
        return []

    async def read_own_pending(self, **_: object) -> list[object]:
        return self.left

    async def acknowledge(self, entries: list[object]) -> None:
        self.acknowledged += entries


async def nothing(*_: object) -> None:
    pass


async def test_a_workers_reader_ends_in_the_middle_of_a_read() -> None:
    entries = Entries()
    completions = SimpleNamespace(room_to_read=nothing, seen=lambda _: None)
    owner = SimpleNamespace(until_ours=nothing, is_foreign=lambda _: False)
    consumer = Consumer(
        cast(Any, entries), cast(Any, completions), cast(Any, owner), cast(Any, None), count=10, block_ms=1
    )
    consumer.loop.start()
    await entries.waits.wait()
    await in_time(consumer.loop)


async def test_an_adapters_reader_takes_what_came_in_the_moment_of_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def epoch(*_: object) -> Epoch:
        return cast(Epoch, SimpleNamespace(database=""))

    marked: list[object] = []

    async def mark_due(_: object, event_ids: list[object]) -> bool:
        marked.extend(event_ids)
        return True

    monkeypatch.setattr("uniassist.streams.epoch.read", epoch)
    monkeypatch.setattr("uniassist.store.wechat.people.mark_due", mark_due)
    entries = Entries()
    entries.left = [SimpleNamespace(entry_id=b"1-0", event_id="e")]
    reader = stream_reader._LaneReader(cast(Any, None), cast(Any, None), cast(Any, entries), lambda: None)
    monkeypatch.setattr(reader, "_begin", nothing)
    [reading, _] = reader.loops
    reading.start()
    await entries.waits.wait()
    await in_time(reading)
    assert marked == ["e"]
    assert entries.acknowledged == [b"1-0"]
