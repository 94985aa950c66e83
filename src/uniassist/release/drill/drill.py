"""The worker reliability drill: four injuries and how the worker recovers from each, on the system it is given.

The same steps in both modes: simulate runs them on a throwaway system, live on the servers of the staging worker.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from uniassist.release.checks.injected import DRILL_PREFIX
from uniassist.release.checks.stream_entries import groups, newest
from uniassist.release.drill.target import DrillTarget
from uniassist.release.report.checklist import CheckFailed, Skipped, equal, expect, until
from uniassist.release.report.steps import Advice, Steps
from uniassist.release.subprocesses import run_uniassist
from uniassist.store import outbox
from uniassist.store import release as store
from uniassist.store.server.pool import Connection
from uniassist.streams.client import Redis

BATCH = 5


def new_name() -> str:
    """Of a drill, and of its session."""
    return f"{DRILL_PREFIX}{uuid.uuid4().hex[:12]}"


@dataclass
class Drill:
    """One run of the four steps.

    outputs: the replay commands as they were run, with what they said.
    repeated: the same token moved nothing a second time.
    """

    target: DrillTarget
    connection: Connection
    redis: Redis
    name: str = field(default_factory=new_name)
    event_ids: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    repeated: bool = False
    _dead_event: str | None = None
    _step_ends: float = 0.0

    async def run(self, steps: Steps) -> None:
        """The four steps, in the runbook's order; after a failure the rest is not run."""
        safe = "leave staging as it is; the drill has taken its own rows away again"
        for number, (name, step) in enumerate(self._plan().items(), start=1):
            runbook = f"Live drill steps {number}"
            if steps.failed:
                steps.not_run(name, "an earlier step failed", runbook=runbook)
                continue
            self._step_ends = time.monotonic() + self.target.step_seconds
            await steps.run(
                name,
                step,
                runbook=runbook,
                deadline_seconds=self.target.step_seconds,
                advice=Advice("uniassist outbox stats", safe),
            )

    def _plan(self) -> dict[str, Callable[[], Awaitable[str]]]:
        return {
            "failed event recovers": self.recover_failed,
            "group destroyed": self.recover_group,
            "dead letter replayed": self.replay_dead_letter,
            "replayed again": self.replay_again,
        }

    async def recover_failed(self) -> str:
        event_id = await self._inject("failed", attempts=1)
        seconds = await self._consumed([event_id])
        await self._on_both_streams(event_id)
        return f"failed → consumed in {seconds:.2f} s, on both streams"

    async def recover_group(self) -> str:
        """NOGROUP under way: events before and after it, and the unconfirmed ones of others, by count."""
        if not self.target.destroys_group:
            raise Skipped("WORKER_DRILL_ENABLE_NOGROUP=false: the consumer group was left alone")
        last_id = await store.last_id(self.connection)
        before = [await self._inject("pending") for _ in range(BATCH)]
        open_before = await store.unconfirmed(self.connection, last_id)
        destroyed = await self.redis.xgroup_destroy(self.target.global_key, self.target.group)
        expect(destroyed, f"there was no group {self.target.group} to destroy")
        began = time.monotonic()
        after = [await self._inject("pending") for _ in range(BATCH)]

        async def is_back() -> bool:
            return self.target.group in await groups(self.redis, self.target.global_key)

        await until(f"consumer group {self.target.group} is there again", is_back, self._left())
        back = time.monotonic() - began
        await self._consumed([*before, *after])

        async def all_confirmed() -> bool:
            return await store.unconfirmed(self.connection, last_id) == 0

        await until("events unconfirmed before are confirmed", all_confirmed, self._left())
        seconds = time.monotonic() - began
        return (
            f"group back after {back:.2f} s; {2 * BATCH} of {2 * BATCH} events consumed after {seconds:.2f} s, "
            f"lost: 0; unconfirmed of others: {open_before} before, 0 after"
        )

    async def replay_dead_letter(self) -> str:
        event_id = await self._inject("dead_letter", attempts=12)
        self._dead_event = event_id
        said = await self._replay(event_id)
        equal("updated by the first replay", counted(said, "updated"), 1)
        return f"replay: updated=1; consumed in {await self._consumed([event_id]):.2f} s"

    async def replay_again(self) -> str:
        """The same token, as the event is now, and once more when it is a dead letter again."""
        event_id = self._dead_event
        assert event_id is not None, "the step before succeeded"
        equal("updated by the second replay", counted(await self._replay(event_id), "updated"), 0)
        await store.dead_again(self.connection, event_id)
        said = await self._replay(event_id)
        equal("selected by the third replay", counted(said, "selected"), 1)
        equal("updated by the third replay", counted(said, "updated"), 0)
        equal("its state", await outbox.status_of(self.connection, event_id), "dead_letter")
        self.repeated = True
        return "same token: updated=0; a dead letter once more, same token: selected=1, updated=0"

    async def _inject(self, status: str, *, attempts: int = 0) -> str:
        event_id = f"{self.name}-{len(self.event_ids) + 1}"
        self.event_ids.append(event_id)  # first: what may be there is taken away at the end
        await outbox.inject(
            self.connection, event_id=event_id, session_id=self.name, status=status, attempts=attempts
        )
        return event_id

    async def _consumed(self, event_ids: list[str]) -> float:
        began = time.monotonic()
        states: dict[str, int] = {}

        async def all_consumed() -> bool:
            nonlocal states
            states = await store.states_of(self.connection, event_ids)
            return states == {"consumed": len(event_ids)}

        try:
            await until("consumed", all_consumed, self._left())
        except CheckFailed as error:
            shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no row"
            raise CheckFailed(f"{error}; now: {shown}. {await self._who_works()}") from None
        return time.monotonic() - began

    def _left(self) -> float:
        """Within the step's deadline, with time to say what is wrong."""
        return max(0.1, self._step_ends - time.monotonic() - 1.0)

    async def _who_works(self) -> str:
        workers = await store.live_workers(self.connection)
        if not workers:
            return "No worker holds a lease in this database: none is running, or none of this database."
        return f"Workers with a lease in this database: {', '.join(workers)}."

    async def _on_both_streams(self, event_id: str) -> None:
        for key in (self.target.session_key(self.name), self.target.global_key):
            found = [entry for entry in await newest(self.redis, key, 2000) if entry[1] == event_id]
            expect(found, f"{event_id} is consumed, but not on {key}: is UNIASSIST_STREAM_PREFIX the worker's?")

    async def _replay(self, event_id: str) -> str:
        arguments = ["outbox", "replay", "--event-id", event_id, "--replay-token", self.name, "--note", "drill"]
        env = {**self.target.env, "DATABASE_URL": self.target.database_url}
        ended = await run_uniassist(env, self._left(), *arguments)
        said = "\n".join(part.strip() for part in (ended.out, ended.err) if part.strip())
        self.outputs.append(f"$ uniassist {' '.join(arguments)}\n{said}\nexit {ended.code}")
        expect(ended.code == 0, f"uniassist outbox replay ended with {ended.code}: {ended.err.strip()[-300:]}")
        return ended.out


def counted(output: str, name: str) -> int:
    """The number that the replay's line `selected: N  inserted: N  updated: N` gives for `name`."""
    found = re.search(rf"\b{name}: (\d+)", output)
    if found is None:
        raise CheckFailed(f"the replay command said nothing of {name}: {output.strip()[-200:]!r}")
    return int(found[1])
