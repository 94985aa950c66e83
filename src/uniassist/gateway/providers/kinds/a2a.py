"""Any agent that speaks A2A, 1.0 or 0.3, over JSON-RPC or HTTP+JSON (`docs/fronts-a2a.md`).

The protocol's SDK is loaded by the first look at such a provider: where there is none, it costs nothing and may be
missing.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Annotated, Protocol, cast

import msgspec

from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a_pushes import Pushes
from uniassist.gateway.providers.kinds.kind import Asked, Hears, Said
from uniassist.store.remotes import Remotes
from uniassist.web.calling.client import CallFailed, Unreachable

_NEEDS = "kind a2a needs the package a2a-sdk: pip install 'uniassist[a2a]'"


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`endpoint`: where it is called, in the place of what its card says."""

    endpoint: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")] | None = None


class Agents(Protocol):
    """What `a2a_agents` does once the SDK is loaded. CallFailed."""

    async def look(self, provider: Provider) -> None: ...

    async def ask(self, asked: Asked, hears: Hears) -> Said: ...

    async def close(self) -> None: ...


class A2aKind:
    """`remotes`: keeps what a run is at its agent. `pushes`: None: agents have nowhere to push to."""

    options = Options

    def __init__(self, remotes: Remotes, pushes: Pushes | None = None) -> None:
        self._remotes = remotes
        self._pushes = pushes
        self._agents: Agents | None = None
        self._loading = asyncio.Lock()

    async def look(self, provider: Provider) -> str | None:
        try:
            await (await self._loaded()).look(provider)
        except CallFailed as error:
            return str(error)
        return None

    async def ask(self, asked: Asked, hears: Hears) -> Said:
        return await (await self._loaded()).ask(asked, hears)

    async def close(self) -> None:
        if self._agents is not None:
            await self._agents.close()

    async def _loaded(self) -> Agents:
        """In a thread: it takes a second, in which others are served."""
        async with self._loading:
            if self._agents is None:
                try:
                    module = await asyncio.to_thread(
                        importlib.import_module, "uniassist.gateway.providers.kinds.a2a_agents"
                    )
                except ModuleNotFoundError as error:
                    raise Unreachable(f"{_NEEDS} ({error.name} is missing)") from None
                self._agents = cast(Agents, module.A2aAgents(self._remotes, self._pushes))
        return self._agents
