"""Tells providers that a person's data was erased: whoever had a run of theirs, until each has answered.

What is to be told is durable, written with the erasure itself, by whichever process made it; any gateway tells it.
"""

from __future__ import annotations

import asyncio
import datetime as dt

import structlog

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.provider import ErasureRequest, ErasureResponse
from uniassist.gateway.providers.catalogue import DEFAULT_KIND
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.providers.routing import BUILTIN
from uniassist.lifecycle import Loop
from uniassist.store import erasures as store
from uniassist.store.erasures import ProviderErasure
from uniassist.store.server.pool import Pool
from uniassist.web.calling.client import BadStatus, CallFailed, JsonClient

log = structlog.get_logger()

LOOK_SECONDS = 10.0
AT_ONCE = 10
LEASE_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 3600.0
GIVEN_UP_AFTER = dt.timedelta(days=30)
_NOT_SERVED = (404, 405, 501)  # a provider of before this call, or one that keeps nothing


class Erasures:
    """`loop` tells what is due; wake it when there is something new."""

    def __init__(self, pool: Pool, client: JsonClient, registry: ProviderRegistry) -> None:
        self._pool = pool
        self._client = client
        self._registry = registry
        self.loop = Loop("erasures", self._run_once)

    async def _run_once(self) -> float:
        due = await store.claim(
            self._pool,
            limit=AT_ONCE,
            lease_seconds=LEASE_SECONDS,
            longest_pause_seconds=LONGEST_PAUSE_SECONDS,
        )
        await asyncio.gather(*(self._tell(each) for each in due))
        return 0.0 if len(due) == AT_ONCE else LOOK_SECONDS

    async def _tell(self, erasure: ProviderErasure) -> None:
        try:
            said = None if erasure.provider_id == BUILTIN else await self._ask(erasure)
        except CallFailed as error:
            await self._put_off(erasure, str(error))
            return
        if said is not None:
            log.warning("a provider was not told of an erasure", provider=erasure.provider_id, reason=said)
        await store.end(self._pool, erasure)

    async def _ask(self, erasure: ProviderErasure) -> str | None:
        """None: it is told; else why it never will be. CallFailed: not now."""
        provider = self._registry.catalogue.get(erasure.provider_id)
        if provider is None or provider.base_url is None:
            raise CallFailed("it isn't connected")
        if provider.kind != DEFAULT_KIND:  # whoever sells models isn't told who our people are
            return f"nothing takes that of kind {provider.kind}; what it keeps is its operator's to see to"
        headers = {} if provider.token is None else {"Authorization": f"Bearer {provider.token}"}
        asked = ErasureRequest(
            schema_version=SCHEMA_VERSION,
            user_id=erasure.user_id,
            subjects=erasure.subjects,
            timestamp_ms=int(erasure.asked_at.timestamp() * 1000),
        )
        try:
            await self._client.post_json(
                f"{provider.base_url}/v0/erase",
                asked,
                ErasureResponse,
                timeout_seconds=provider.timeout_seconds,
                headers=headers,
            )
        except BadStatus as error:
            if error.status in _NOT_SERVED:
                return f"it has no /v0/erase ({error.status}); what it keeps is its operator's to see to"
            raise
        return None

    async def _put_off(self, erasure: ProviderErasure, error: str) -> None:
        if dt.datetime.now(dt.UTC) - erasure.asked_at > GIVEN_UP_AFTER:
            log.error("a provider was never told of an erasure", provider=erasure.provider_id, error=error)
            await store.end(self._pool, erasure)
            return
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(erasure.attempts, 12))
        if erasure.attempts == 1:
            log.warning("a provider can't be told of an erasure yet", provider=erasure.provider_id, error=error)
        await store.put_off(self._pool, erasure, pause_seconds=pause, error=error)
