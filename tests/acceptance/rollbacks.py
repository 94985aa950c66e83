"""Rollbacks in a row, each by a trigger, under load: v2 over v1, dead letters above the threshold, back on v1.

Before the trigger of every fifth the disk of the state directory is filled to its last byte, so that there is no
record, no journal, no incident note and no log of the watch.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tests.acceptance.base import Base
from tests.acceptance.load import Lost, lost
from tests.acceptance.site import Ended
from tests.full_disk import drain, fill

DISK_MEGABYTES = 1500
FULL_EVERY = 5

_DEAD = (
    "INSERT INTO outbox_events (event_id, session_id, payload, status, attempts)"
    " SELECT %s || n, 'bad-release', '{}', 'dead_letter', 12 FROM generate_series(1, 40) n"
)
_TREATED = "DELETE FROM outbox_events WHERE session_id = 'bad-release'"


@dataclass(frozen=True)
class Rolled:
    """`code` of the watch that rolled back; seconds from the incident note.

    disk_full: then no note could be written: from the dead letters to the end of the watch.
    first_failed_to_trigger: None: unknown, for want of a note.
    """

    number: int
    code: int
    first_failed_to_trigger: float | None
    trigger_to_verified: float
    is_back: bool
    said: str
    disk_full: bool = False

    @property
    def is_ok(self) -> bool:
        return self.code == 20 and self.is_back


def rolled_back_by_trigger(base: Base, number: int) -> Rolled:
    """One of them. The dead letters come once the watch has begun to count."""
    site = base.site
    rolled_out = base.roll_out("v2")
    assert rolled_out.code == 0, rolled_out.lines
    before = len(site.incidents())
    is_full = number % FULL_EVERY == 0
    injected, seconds = asyncio.run(_watched(base, disk_full=is_full))
    drain(site.home)
    site.inject(_TREATED)
    is_back = set(site.revisions().values()) == {"v1"}
    said = next((line for line in injected.lines if "TRIGGER" in line), "")
    notes = site.incidents()
    if is_full:
        return Rolled(number, injected.code, None, seconds, is_back, said, disk_full=True)
    assert len(notes) == before + 1, injected.lines
    facts = notes[-1]["facts"]
    verified = facts.get("verifiedAt")
    return Rolled(
        number,
        injected.code,
        _seconds(facts["firstFailed"]["at"], facts["triggeredAt"]),
        _seconds(facts["triggeredAt"], verified) if verified else float("inf"),
        is_back,
        said,
    )


async def _watched(base: Base, *, disk_full: bool) -> tuple[Ended, float]:
    """The watch as it ended, and how long after the dead letters."""
    state = base.site.home / "environments" / "staging" / "watch" / "state.json"
    state.unlink(missing_ok=True)  # of the watch before
    watch = asyncio.create_task(asyncio.to_thread(base.release, "watch", "--rev", "v2", "--for", "3m"))
    began = time.monotonic()
    while not watch.done():  # ends: with the watch
        if state.exists() and '"roundsOk": 1' in state.read_text():
            if disk_full:
                fill(base.site.home)
            began = time.monotonic()
            base.site.inject(_DEAD, f"bad-{uuid.uuid4().hex}-")
            break
        await asyncio.sleep(0.2)
    return await watch, round(time.monotonic() - began, 2)


def campaign(base: Base, count: int, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """After each of them what was found so far; what was lost is counted after the last."""
    found: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        rolled = rolled_back_by_trigger(base, number)
        found.append(asdict(rolled) | {"ok": rolled.is_ok})
        say(f"rollback {number}/{count}: {rolled}")
        yield _found(base, found, None)
    base.load.stop()
    missing = asyncio.run(lost(base.load, base.site.postgres.url))
    say(f"{len(base.load.acknowledged)} inputs acknowledged, {base.load.refused} refused; lost: {missing}")
    yield _found(base, found, missing)


def _found(base: Base, rolled: list[dict[str, Any]], missing: Lost | None) -> dict[str, Any]:
    return {
        "rollbacks": rolled,
        "acknowledged": len(base.load.acknowledged),
        "refused": base.load.refused,
        "longestGapSeconds": round(base.load.longest_gap_seconds, 1),
        "lost": asdict(missing) if missing else None,
    }


def _seconds(start: str, end: str) -> float:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 2)
