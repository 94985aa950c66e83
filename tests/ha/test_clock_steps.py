"""The servers' own clocks stepped back by two minutes, as by an NTP client or a machine that was moved.

With Debian's faketime before the embedded servers; only their wall clocks step, as when it happens.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, PREFIX, Outbox, opened
from tests.integration.delivery.test_delivery_rescue import SMALL, shared_by
from tests.processes import ServiceProcess

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = pytest.mark.skipif(not _LIBRARIES, reason="faketime isn't installed (Debian)")
# Generous, and less than the step.
SOON_SECONDS = 40


class Clock:
    """The wall clock of whatever is started under it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o755, exist_ok=True)
        self._file = directory / "clock"
        self.step_to("+0s")

    def step_to(self, offset: str) -> None:
        """At once, for all that run: a clock must never find half a file."""
        written = self._file.with_suffix(".new")
        written.write_text(offset)
        written.chmod(0o644)
        written.rename(self._file)

    @contextmanager
    def before(self) -> Iterator[None]:
        ours = {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in ours:
                del os.environ[name]


@pytest.fixture
def clock(server_directory: Path, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis) -> Clock:
    """Of both servers."""
    clock = Clock(server_directory / f"clock-{own_redis.port}")
    own_postgres.stop()
    own_redis.stop()
    with clock.before():
        own_postgres.start()
        own_redis.start()
    return clock


@pytest.fixture
async def outbox(clock: Clock, own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis) -> AsyncIterator[Outbox]:
    async with opened(own_postgres.url, own_redis.url) as outbox:
        yield outbox


@pytest.fixture
def start_worker(
    service: Callable[..., ServiceProcess], own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> StartWorker:
    def start(**env: str) -> ServiceProcess:
        return service("worker", DATABASE_URL=own_postgres.url, REDIS_URL=own_redis.url, **env)

    return start


async def test_the_clocks_step_back_as_a_worker_dies_and_an_event_waits_to_be_tried_again(
    clock: Clock, outbox: Outbox, start_worker: StartWorker
) -> None:
    await outbox.redis.set(f"{PREFIX}poisoned", "not a stream")
    hourly = {"OUTBOX_BACKOFF_BASE_MS": "3600000", "OUTBOX_BACKOFF_MAX_MS": "3600000"}
    dying, _ = start_worker(**SMALL, **hourly), start_worker(**SMALL, **hourly)
    await shared_by(outbox, 2)
    events = await outbox.write_turn("poisoned", 3)
    await outbox.in_state(events[0], "failed")
    await outbox.redis.delete(f"{PREFIX}poisoned")
    dying.kill()
    clock.step_to("-120s")
    await outbox.write_many(40, 5)
    await outbox.all_consumed(deadline_seconds=SOON_SECONDS)
    assert [entry.event_id for entry in await outbox.session_stream("poisoned")] == events
    assert await outbox.check_session_streams() == 41


async def test_the_clock_of_redis_steps_back_while_a_worker_that_is_gone_holds_an_entry(
    clock: Clock, outbox: Outbox, start_worker: StartWorker
) -> None:
    """Redis tells its age by the wall clock: it stays 0 for as long as the step was."""
    worker = start_worker()
    [event] = await outbox.write_turn("s", 1)
    await outbox.in_state(event, "consumed")
    worker.stop()
    entry_id = (await outbox.redis.xinfo_stream(GLOBAL))["last-generated-id"]
    await outbox.redis.xclaim(GLOBAL, GROUP, "gone", 0, [entry_id], force=True, justid=True)
    await outbox.pool.execute("UPDATE outbox_events SET status = 'delivered', consumed_at = NULL")
    clock.step_to("-120s")
    start_worker()
    await outbox.in_state(event, "consumed", deadline_seconds=SOON_SECONDS)
    assert (await outbox.redis.xpending(GLOBAL, GROUP))["pending"] == 0
