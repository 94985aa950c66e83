"""What a run is at the agent that answers it: kept as soon as it is known, for whoever takes the call over."""

from __future__ import annotations

import msgspec

from uniassist.contracts.base import Wire
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool


class Question(Wire, frozen=True):
    """What an agent asked of its person.

    `message_id`: of our message that it answered so. `asked`: the id of its own.
    `told`: the artifacts that its person had got by then.
    """

    message_id: str
    asked: str = ""
    told: tuple[str, ...] = ()


class Remote(Wire, frozen=True):
    """The agent's own ids.

    `task_id`: None: it made no task of it.
    `message_id`: of our newest message that it has.
    `questions`: the newest two, oldest first.
    """

    context_id: str
    task_id: str | None = None
    message_id: str | None = None
    questions: tuple[Question, ...] = ()


class Remotes:
    """ServerFault, as any statement's."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of_run(self, run_id: str) -> Remote | None:
        found = await self._pool.fetchval(*statements("gateway")["remote_of_run"](run_id=run_id), timeout=5)
        return None if found is None else msgspec.json.decode(found, type=Remote)

    async def of_session(self, session_id: str, provider_id: str) -> Remote | None:
        """Of the provider's newest run there that has one."""
        statement = statements("gateway")["remote_of_session"]
        found = await self._pool.fetchval(*statement(session_id=session_id, provider_id=provider_id), timeout=5)
        return None if found is None else msgspec.json.decode(found, type=Remote)

    async def keep(self, run_id: str, remote: Remote) -> None:
        statement = statements("gateway")["keep_remote"]
        await self._pool.execute(*statement(run_id=run_id, remote=msgspec.json.encode(remote).decode()), timeout=5)

    async def is_cancelled(self, run_id: str) -> bool:
        """Whether its person ended it."""
        found = await self._pool.fetchval(*statements("gateway")["run_status"](run_id=run_id), timeout=5)
        return bool(found == "cancelled")
