"""The agents that speak A2A: their cards, the connections to them, and who is told that a person cancelled."""

from __future__ import annotations

import asyncio

import structlog
from a2a.utils.errors import A2AError

from uniassist.errors import UniAssistError
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a_call import LOOK_SECONDS, Call
from uniassist.gateway.providers.kinds.a2a_cards import UNREADABLE, Cards
from uniassist.gateway.providers.kinds.a2a_http import new_client
from uniassist.gateway.providers.kinds.a2a_pushes import Pushes
from uniassist.gateway.providers.kinds.kind import Asked, Hears, Said
from uniassist.store.remotes import Remotes
from uniassist.web.calling.client import CallFailed, TimedOut

log = structlog.get_logger()


class A2aAgents:
    """`remotes`: where a run's task is kept. `pushes`: None: agents have nowhere to push to."""

    def __init__(self, remotes: Remotes, pushes: Pushes | None = None) -> None:
        self._remotes = remotes
        self._pushes = pushes
        self._http = new_client()
        self._cards = Cards(self._http)
        self._hanging_up: set[asyncio.Task[None]] = set()

    async def look(self, provider: Provider) -> None:
        await self._cards.of(provider, anew=True)

    async def close(self) -> None:
        if self._hanging_up:
            await asyncio.wait(self._hanging_up, timeout=2.0)
        await self._http.aclose()

    async def ask(self, asked: Asked, hears: Hears) -> Said:
        agent = await self._cards.of(asked.provider)
        pushes = self._pushes if agent.card.capabilities.push_notifications else None
        call = Call(agent, asked, self._remotes, hears, pushes)
        try:
            async with asyncio.timeout(asked.provider.total_timeout_seconds) as deadline:
                if pushes is None:
                    await call.follow()
                else:
                    with pushes.waiting(call.run_id) as call.pushed:
                        await call.follow()
        except TimeoutError:
            if not deadline.expired():
                raise
            seconds = asked.provider.total_timeout_seconds
            raise TimedOut(f"{asked.provider.provider_id}: no whole answer within {seconds:g} seconds") from None
        except (asyncio.CancelledError, UniAssistError):
            if call.story.task_id:  # perhaps its person cancelled it; or another gateway goes on with it
                task = asyncio.create_task(self._hang_up(call))
                self._hanging_up.add(task)
                task.add_done_callback(self._hanging_up.discard)
            raise
        return await call.said()

    async def _hang_up(self, call: Call) -> None:
        """The agent is told where its person cancelled the run. It may have ended meanwhile, or be away."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if await self._remotes.is_cancelled(call.run_id):
                    await call.cancel()
        except (A2AError, CallFailed, TimeoutError, UniAssistError, *UNREADABLE) as error:
            log.warning("an agent's task isn't cancelled", provider=call.provider_id, error=repr(error))
