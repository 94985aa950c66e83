"""Whether the worker consumes: by the very events, where the database is at hand, else by the gateway's count."""

from __future__ import annotations

from collections.abc import Sequence

from uniassist.release.checks.connecting import connect
from uniassist.release.checks.service_client import ServiceClient, json_body
from uniassist.release.report.checklist import CheckFailed, equal, expect, until
from uniassist.store import release as store


class NotHere(Exception):
    """These events are in another database."""


class Consumption:
    """`begin` before the events are made, `expect_consumed` after."""

    def __init__(self, gateway: ServiceClient, database_url: str | None) -> None:
        self._gateway = gateway
        self._database_url = database_url
        self._before = 0

    async def begin(self) -> None:
        if self._database_url is None:
            self._before = await self._count()

    async def expect_consumed(self, event_ids: Sequence[str], deadline_seconds: float) -> str:
        """CheckFailed with what was seen last, when they are not consumed in time."""
        expect(event_ids, "there are no events to follow")
        if self._database_url is not None:
            return await self._follow(self._database_url, event_ids, deadline_seconds)
        return await self._watch_count(len(event_ids), deadline_seconds)

    async def _follow(self, url: str, event_ids: Sequence[str], deadline_seconds: float) -> str:
        connection = await connect(url)
        states: dict[str, int] = {}

        async def are_consumed() -> bool:
            nonlocal states
            states = await store.states_of(connection, event_ids)
            if not states:
                raise NotHere
            return states.get("consumed") == len(event_ids)

        try:
            await until("consumed", are_consumed, deadline_seconds)
        except NotHere:
            raise CheckFailed("DATABASE_URL isn't the gateway's database: it doesn't hold these events") from None
        except CheckFailed:
            shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            raise CheckFailed(f"the worker doesn't consume: of {len(event_ids)} events, {shown}") from None
        finally:
            await connection.close()
        return f"{len(event_ids)} of {len(event_ids)} events consumed"

    async def _watch_count(self, wanted: int, deadline_seconds: float) -> str:
        now = self._before

        async def went_up() -> bool:
            nonlocal now
            now = await self._count()
            return now >= self._before + wanted

        try:
            await until("went up", went_up, deadline_seconds)
        except CheckFailed:
            raise CheckFailed(
                f"the worker doesn't consume: since the ingest {now - self._before} more are consumed, "
                f"expected {wanted} (by the gateway's /v0/metrics)"
            ) from None
        return f"consumed went up from {self._before} to {now}; the ingest made {wanted} events"

    async def _count(self) -> int:
        answer = await self._gateway.get("/v0/metrics")
        equal("GET /v0/metrics", answer.status, 200)
        try:
            return int(json_body(answer)["metrics"]["outbox"]["consumed"])
        except (KeyError, TypeError, ValueError):
            raise CheckFailed("/v0/metrics lacks outbox.consumed") from None
