"""The end-to-end smoke: a message all the way through, and every way back from failure, on real servers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable

from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck
from uniassist.release.checks.injected import SMOKE_PREFIX
from uniassist.release.checks.service_client import ServiceClient, new_session, user_input
from uniassist.release.checks.system import System
from uniassist.release.report.checklist import CheckFailed, Checklist, equal, expect, until
from uniassist.release.subprocesses import run_uniassist
from uniassist.store import outbox
from uniassist.store.release import session_states
from uniassist.store.server import pool
from uniassist.store.server.pool import Connection
from uniassist.streams.lane_clients import LaneClients
from uniassist.web.calling.client import JsonClient

STEP_SECONDS = 30.0


class Smoke:
    """Everything it writes is under a session of its own."""

    def __init__(
        self, system: System, connection: Connection, clients: LaneClients, gateway: ServiceClient
    ) -> None:
        self._system = system
        self._connection = connection
        self._gateway = gateway
        self._session = new_session()
        self._lane, self._redis = clients.of_session(self._session)

    async def message(self) -> str:
        """Ingest → timeline → both streams → consumed."""
        answer = await self._gateway.post("/v0/ingest", user_input(self._session, "帮我安排一个计划"))
        equal("POST /v0/ingest", answer.status, 200)
        codec.decode(answer.body, IngestAck)
        began = time.monotonic()

        async def answered() -> bool:
            kinds = [event.kind for event in await self._gateway.timeline(self._session)]
            return "interaction" in kinds and kinds.count("provider_run") >= 2

        await until("the provider's answer is on the timeline", answered, STEP_SECONDS)
        events = await self._gateway.timeline(self._session)
        equal("seq", [event.seq for event in events], list(range(1, len(events) + 1)))
        for event in events:
            await self._consumed(event.event_id)
        entries = await self._redis.xlen(self._lane.session_key(self._session))
        equal("entries on the session stream", entries, len(events))
        return f"{len(events)} events consumed {time.monotonic() - began:.2f} s after the answer"

    async def retry(self) -> str:
        """A failed event that is due is taken up by itself."""
        event_id = await self._inject("failed", attempts=1)
        return f"failed → consumed in {await self._consumed(event_id):.2f} s"

    async def no_group(self) -> str:
        """The consumer group destroyed: it comes back, and nothing is lost."""
        await self._redis.xgroup_destroy(self._lane.global_key, self._system.group)
        events = [await self._inject("pending") for _ in range(5)]
        seconds = max([await self._consumed(event_id) for event_id in events])
        return f"group destroyed, {len(events)} events consumed in {seconds:.2f} s"

    async def dead_letter(self) -> str:
        """A dead letter stays where it is until it is replayed; the same replay again moves nothing."""
        event_id, token = await self._inject("dead_letter", attempts=12), f"smoke-{uuid.uuid4()}"
        first = await self._replay(event_id, token)
        expect("updated: 1" in first, f"replay: expected updated: 1, got {first!r}")
        seconds = await self._consumed(event_id)
        again = await self._replay(event_id, token)
        expect("updated: 0" in again, f"second replay: expected updated: 0, got {again!r}")
        return f"replayed → consumed in {seconds:.2f} s, again: updated: 0"

    async def nothing_left(self) -> str:
        """At the end no event of it is on its way."""

        async def is_empty() -> bool:
            return set(await session_states(self._connection, self._session)) == {"consumed"}

        await until("every event is consumed", is_empty, STEP_SECONDS)
        states = await session_states(self._connection, self._session)
        return f"{states['consumed']} events, all consumed"

    async def _inject(self, status: str, *, attempts: int = 0) -> str:
        event_id = f"{SMOKE_PREFIX}{uuid.uuid4()}"
        await outbox.inject(
            self._connection, event_id=event_id, session_id=self._session, status=status, attempts=attempts
        )
        return event_id

    async def _consumed(self, event_id: str) -> float:
        began = time.monotonic()

        async def is_consumed() -> bool:
            return await outbox.status_of(self._connection, event_id) == "consumed"

        try:
            await until(f"event {event_id} is consumed", is_consumed, STEP_SECONDS)
        except CheckFailed as error:
            raise CheckFailed(f"{error}; it is {await outbox.status_of(self._connection, event_id)}") from None
        return time.monotonic() - began

    async def _replay(self, event_id: str, token: str) -> str:
        env = {**self._system.env, "DATABASE_URL": self._system.database_url}
        arguments = ("outbox", "replay", "--event-id", event_id, "--replay-token", token)
        ended = await run_uniassist(env, STEP_SECONDS, *arguments)
        equal(f"exit code of replay ({ended.err.strip()})", ended.code, 0)
        return ended.out.strip().splitlines()[-1]


async def smoke(checklist: Checklist, system: System) -> None:
    """Run it against a system; stops at the first failure, since the next steps build on it."""
    await _run(
        checklist,
        system,
        lambda run: {
            "a message goes all the way through": run.message,
            "a failed event recovers": run.retry,
            "the consumer group recovers (NOGROUP)": run.no_group,
            "a dead letter is replayed, once": run.dead_letter,
            "nothing is left behind": run.nothing_left,
        },
    )


async def smoke_in_use(checklist: Checklist, system: System) -> None:
    """The part that a system in use can take every few minutes: no group is destroyed, no dead letter made."""
    await _run(
        checklist,
        system,
        lambda run: {
            "a message goes all the way through": run.message,
            "a failed event recovers": run.retry,
            "nothing is left behind": run.nothing_left,
        },
    )


async def _run(
    checklist: Checklist, system: System, plan: Callable[[Smoke], dict[str, Callable[[], Awaitable[str]]]]
) -> None:
    connection = await pool.connect(system.database_url)
    clients = LaneClients(system.redis_url, system.layout, is_command=True)
    try:
        async with JsonClient() as client:
            run = Smoke(system, connection, clients, ServiceClient(client, system.urls["gateway"]))
            for name, step in plan(run).items():
                if not await checklist.run(name, step, deadline_seconds=STEP_SECONDS * 2):
                    return
    finally:
        await clients.aclose()
        await connection.close()
