"""One run: three workers behind proxies, steady load, faults from a seed; then everything heals and is counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.busy import busy
from tests.chaos.checks import Findings
from tests.chaos.faults import LINK_FAULTS, WORKER_FAULTS, inject
from tests.chaos.load import SESSIONS, Load
from tests.chaos.poison import MARK
from tests.chaos.postgres_faults import POSTGRES_FAULTS
from tests.chaos.redis_faults import REDIS_FAULTS
from tests.chaos.system import System, started
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, Outbox
from tests.waiting import eventually

TURNS_PER_SECOND = 60.0
# A clock that was set back makes a retry two minutes later; nobody can tell it from one that an operator set.
HEAL_SECONDS = 150.0

_LAGS = f"""
SELECT percentile_cont(ARRAY[0.5, 0.99, 1.0])
       WITHIN GROUP (ORDER BY extract(epoch FROM consumed_at - created_at)::float8)
FROM outbox_events WHERE event_id NOT LIKE '%/{MARK}-%'
"""
NOTHING_CONSUMED = (0.0, 0.0, 0.0)  # as under a mutant that is found out at once
_ATTEMPTS = f"SELECT coalesce(sum(attempts), 0) FROM outbox_events WHERE event_id NOT LIKE '%/{MARK}-%'"
_UNDER_WAY = """
SELECT event_id, status, attempts, locked_by, lease_expires_at, epoch, last_error, next_retry_at
FROM outbox_events WHERE status NOT IN ('consumed', 'dead_letter') ORDER BY id LIMIT 12
"""


@dataclass(frozen=True)
class Asked:
    """`pause_seconds`: the mean pause of each of the four injectors between two faults. `busy`: loops beside it.

    `source`: the tree that the workers run; None: ours. `until_found`: the faults end with the first finding.
    """

    seconds: float
    seed: int
    pause_seconds: float
    busy: int = 0
    source: Path | None = None
    until_found: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a run found; `clean` is what has to be true. `found_after_seconds`: of faults, to the first finding."""

    asked: Asked
    events: int
    acknowledged: int
    refused: int
    lost: int
    stuck: int
    attempts: int
    pending: int
    unburied: list[str]
    poisons: dict[str, int]
    healed_after_seconds: float
    found_after_seconds: float | None
    lags: tuple[float, ...]
    recoveries: dict[str, list[float | None]]
    faults: Counter[str]
    findings: Findings

    @property
    def counts(self) -> dict[str, int]:
        """Findings by kind."""
        return {
            "lost": self.lost,
            "stuck": self.stuck,
            "attempts": self.attempts,
            "pending": self.pending,
            "unburied": len(self.unburied),
            **self.findings.counts,
        }

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())


async def run(directory: Path, asked: Asked) -> Outcome:
    with busy(asked.busy, most_seconds=asked.seconds + 10 * HEAL_SECONDS):
        async with started(directory, source=asked.source) as system:
            load = Load(system.outbox, random.Random(f"{asked.seed} load"), TURNS_PER_SECOND)
            writing = asyncio.create_task(load.run())
            found_after_seconds = await _break(system, asked)
            load.stop()
            await writing
            return await _judge(system, load, asked, found_after_seconds)


async def _break(system: System, asked: Asked) -> float | None:
    """All injectors, until the time is over. Returns the seconds to the first finding; None: there is none yet."""
    began = time.monotonic()
    findings = system.checks.findings

    def over() -> bool:
        return time.monotonic() - began >= asked.seconds or (asked.until_found and not findings.clean)

    injectors = {
        "workers": WORKER_FAULTS,
        "redis": REDIS_FAULTS,
        "postgres": POSTGRES_FAULTS,
        "links": LINK_FAULTS,
    }
    await asyncio.gather(
        system.checks.keep_looking(over),
        *(
            inject(
                system, faults, random.Random(f"{asked.seed} {name}"), over=over, pause_seconds=asked.pause_seconds
            )
            for name, faults in injectors.items()
        ),
    )
    return None if findings.first_at is None else findings.first_at - began


async def _judge(system: System, load: Load, asked: Asked, found_after_seconds: float | None) -> Outcome:
    outbox = system.outbox
    began = time.monotonic()
    healed = await _all_ended(outbox)
    healed_after_seconds = time.monotonic() - began
    if not healed:
        system.checks.findings.examples += await _under_way(outbox)
    await _write_once_more(outbox)
    await system.checks.look(system.lost_at)
    consumed = {
        row["event_id"]
        for row in await outbox.pool.fetch("SELECT event_id FROM outbox_events WHERE status = 'consumed'")
    }
    states = await outbox.states()
    return Outcome(
        asked=asked,
        events=sum(states.values()),
        acknowledged=len(load.acknowledged),
        refused=load.refused,
        lost=len(load.acknowledged - consumed) + (0 if healed else 1),
        stuck=states["processing"] + states["delivered"],
        attempts=await outbox.pool.fetchval(_ATTEMPTS),
        pending=await _pending_entries(outbox),
        unburied=await load.poisons.unburied(outbox.pool),
        poisons=load.poisons.counts,
        healed_after_seconds=healed_after_seconds,
        found_after_seconds=found_after_seconds,
        lags=tuple(await outbox.pool.fetchval(_LAGS) or NOTHING_CONSUMED),
        recoveries=system.recoveries,
        faults=system.done,
        findings=system.checks.findings,
    )


async def _all_ended(outbox: Outbox) -> bool:
    """Consumed or, as poisons are, a dead letter."""

    async def none_under_way() -> bool:
        states = await outbox.states()
        return states.total() == states["consumed"] + states["dead_letter"]

    try:
        await eventually(none_under_way, "every event has ended", HEAL_SECONDS, 0.2)
    except AssertionError:
        return False
    return True


async def _under_way(outbox: Outbox) -> list[str]:
    rows = await outbox.pool.fetch(_UNDER_WAY)
    return [", ".join(f"{name} {str(value)[:80]}" for name, value in row.items()) for row in rows]


async def _write_once_more(outbox: Outbox) -> None:
    """Each session's stream still takes events, and they arrive as fast as ever."""
    for session in range(SESSIONS):
        await outbox.write_turn(f"s{session}", 1)
    await _all_ended(outbox)


async def _pending_entries(outbox: Outbox) -> int:
    """Entries that are still somebody's after a while: read and never acknowledged."""

    async def none_left() -> bool:
        return bool((await outbox.redis.xpending(GLOBAL, GROUP))["pending"] == 0)

    try:
        await eventually(none_left, "no entry is left pending", deadline_seconds=20)
    except AssertionError:
        return int((await outbox.redis.xpending(GLOBAL, GROUP))["pending"])
    return 0
