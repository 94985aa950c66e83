"""Provider calls: made after the commit that owes them, settled by the commit that holds their answer.

The row of a call carries a lease of this gateway, renewed while the call is under way. A gateway that dies stops
renewing, and any other takes the call over with the same idempotency key. A result lands once: its commit needs
the lease, and deletes the row.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import msgspec
import structlog

from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.provider import InteractRequest, InteractResponse, InvokeRequest, InvokeResponse
from uniassist.errors import SessionNotFound, Unavailable
from uniassist.gateway.answers import Answer, request_of
from uniassist.gateway.batch import CallLost
from uniassist.gateway.breaker import Breaker
from uniassist.gateway.directory import Directory
from uniassist.gateway.ledger import OUTAGE, Ledger
from uniassist.gateway.metrics import Metrics
from uniassist.gateway.providers import Provider
from uniassist.gateway.turns import Turn
from uniassist.lifecycle import Loop, Pauses
from uniassist.store import calls as store
from uniassist.store.ledger import CallRow
from uniassist.store.pool import Pool
from uniassist.tracing import NO_SPANS, Spans
from uniassist.web.client import BadAnswer, BadStatus, CallFailed, JsonClient

log = structlog.get_logger()

LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
MAX_WAITING = 2000
TAKEN_OVER_AT_ONCE = 100
MAX_EVENTS = 100
MAX_ATTEMPTS = 5
_PROVIDERS_OWN_4XX = (408, 429)  # too slow, too many: those are of the provider's state, not of the request


@dataclass
class _Lane:
    """One provider's bulkhead: how many calls at once, and whether it is worth trying."""

    limit: asyncio.Semaphore
    breaker: Breaker = field(default_factory=Breaker)


class Calls:
    """Makes the calls; `dispatch` right after a commit, and by itself for what other gateways left.

    `max_waiting`: of each provider, beside those that it is busy with; one that hangs leaves the others their room.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        client: JsonClient,
        directory: Directory,
        owner: str,
        metrics: Metrics,
        spans: Spans = NO_SPANS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._pool = pool
        self._client = client
        self._directory = directory
        self._owner = owner
        self._metrics = metrics
        self._spans = spans
        self._max_waiting = max_waiting
        self._ledger: Ledger | None = None
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._by_provider = Counter[str]()
        self._loops = (Loop("renew-calls", self._renew), Loop("take-over-calls", self._take_over))

    def start(self, ledger: Ledger) -> None:
        self._ledger = ledger
        for loop in self._loops:
            loop.start()

    async def stop(self, deadline_seconds: float) -> None:
        """Let calls finish for a while; what doesn't is free for another gateway, or for the next start."""
        await self._loops[1].stop()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=deadline_seconds)
        await self._loops[0].stop()
        left = dict(self._under_way)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        if left:
            try:
                await store.release(self._pool, list(left), owner=self._owner)
            except (*OUTAGE, asyncpg.PostgresError) as error:
                log.warning("calls are left to their leases", calls=len(left), error=repr(error))

    def dispatch(self, calls: Sequence[CallRow], attempt: int = 1) -> None:
        """Start the calls. Beyond a provider's bound they are left to their lease's expiry: durable, only later."""
        for call in calls:
            if self._room(call.provider_id) <= 0:
                log.warning(
                    "too many calls of this provider under way", provider=call.provider_id, waiting=call.call_id
                )
                continue
            task = asyncio.create_task(self._settle(call, attempt), name=call.call_id)
            self._under_way[call.call_id] = task
            self._by_provider[call.provider_id] += 1
            task.add_done_callback(partial(self._ended, call.provider_id))

    def _room(self, provider_id: str) -> int:
        provider = self._directory.catalogue.get(provider_id)
        at_once = provider.concurrency if provider is not None else 0
        return at_once + self._max_waiting - self._by_provider[provider_id]

    def _ended(self, provider_id: str, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task.get_name(), None)
        self._by_provider[provider_id] -= 1
        if self._by_provider[provider_id] == 0:
            del self._by_provider[provider_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("provider call broke", call=task.get_name(), error=repr(error))

    async def _settle(self, call: CallRow, attempt: int) -> None:
        request = request_of(call)
        events: Sequence[InteractionEvent] | None = None
        provider = self._directory.catalogue.get(call.provider_id)
        if provider is not None and provider.base_url is not None and attempt <= MAX_ATTEMPTS:
            events = await self._call(provider, provider.base_url, call, request, attempt)
        name = self._directory.catalogue.name(call.provider_id, request.context.user.locale)
        turn = Turn(
            session_id=call.session_id,
            decide=Answer(call, request, events, name),
            run_id=call.run_id,
            call_id=call.call_id,
            traceparent=call.traceparent,
            follows_successor=False,
        )
        await self._submit(turn, call)

    async def _submit(self, turn: Turn, call: CallRow) -> None:
        """Until it is committed, or lost to another gateway: an outage of Postgres loses no answer."""
        assert self._ledger is not None
        pauses = Pauses(0.1, 2.0)
        while True:  # ends: with the commit, with the lease, or with `stop`
            try:
                await self._ledger.submit(turn)
            except Unavailable:
                await pauses.wait()
            except CallLost:
                self._metrics.calls_lost.inc()
                return
            except SessionNotFound:
                log.warning("a call's session is gone, its answer with it", call=call.call_id, run=call.run_id)
                await store.forget(self._pool, call.call_id, owner=self._owner)
                return
            else:
                return

    async def _call(
        self,
        provider: Provider,
        base_url: str,
        call: CallRow,
        request: InvokeRequest | InteractRequest,
        attempt: int,
    ) -> Sequence[InteractionEvent] | None:
        lane = self._lane(provider)
        try:
            # The wait for a place has the same deadline: a hung provider delays nobody for longer than one call.
            async with asyncio.timeout(provider.timeout_seconds):
                await lane.limit.acquire()
        except TimeoutError:
            self._failed(call, "no free place among its calls")
            return None
        try:
            if not lane.breaker.allows(time.monotonic()):
                self._failed(call, "its breaker is open")
                return None
            events = await self._ask(provider, base_url, call, request, attempt)
        except CallFailed as error:
            if _is_refusal(error):
                lane.breaker.refused(time.monotonic())
            else:
                lane.breaker.failed(time.monotonic())
            self._failed(call, str(error))
            return None
        finally:
            lane.limit.release()
        lane.breaker.succeeded()
        return events

    async def _ask(
        self,
        provider: Provider,
        base_url: str,
        call: CallRow,
        request: InvokeRequest | InteractRequest,
        attempt: int,
    ) -> list[InteractionEvent]:
        span = self._spans.begin(
            f"{call.kind} {provider.provider_id}",
            "client",
            call.traceparent,
            {
                "uniassist.provider": provider.provider_id,
                "uniassist.run": call.run_id,
                "uniassist.attempt": attempt,
            },
        )
        headers = {"traceparent": span.traceparent} if span.traceparent else {}
        if provider.token is not None:
            headers["Authorization"] = f"Bearer {provider.token}"
        failure: str | None = "cancelled"
        try:
            if isinstance(request, InvokeRequest):
                events = await self._invoke(base_url, provider, request, attempt, headers)
            else:
                events = await self._interact(base_url, provider, request, attempt, headers)
            failure = None
        except CallFailed as error:
            failure = str(error)
            raise
        finally:
            span.end(error=failure)
        return events

    def _lane(self, provider: Provider) -> _Lane:
        """Its limit may change with the file; what is under way in the old lane ends there."""
        key = (provider.provider_id, provider.concurrency)
        if key not in self._lanes:
            self._lanes = {each: lane for each, lane in self._lanes.items() if each[0] != key[0]}
            self._lanes[key] = _Lane(asyncio.Semaphore(provider.concurrency))
        return self._lanes[key]

    async def _invoke(
        self,
        base_url: str,
        provider: Provider,
        request: InvokeRequest,
        attempt: int,
        headers: dict[str, str],
    ) -> list[InteractionEvent]:
        body = msgspec.structs.replace(request, run=msgspec.structs.replace(request.run, attempt=attempt))
        answer = await self._client.post_json(
            f"{base_url}/v0/invoke",
            body,
            InvokeResponse,
            timeout_seconds=provider.timeout_seconds,
            headers=headers,
        )
        if answer.run_id != request.run.run_id or answer.provider_id != provider.provider_id:
            raise BadAnswer("runId, providerId: expected those of the request")
        said: list[InteractionEvent] = [answer.ack] if answer.ack.message else []
        return _bounded([*said, *(answer.immediate_events or [])])

    async def _interact(
        self,
        base_url: str,
        provider: Provider,
        request: InteractRequest,
        attempt: int,
        headers: dict[str, str],
    ) -> list[InteractionEvent]:
        body = msgspec.structs.replace(request, run=msgspec.structs.replace(request.run, attempt=attempt))
        answer = await self._client.post_json(
            f"{base_url}/v0/interact",
            body,
            InteractResponse,
            timeout_seconds=provider.timeout_seconds,
            headers=headers,
        )
        if answer.run_id != request.run.run_id:
            raise BadAnswer("runId: expected that of the request")
        return _bounded(answer.events)

    def _failed(self, call: CallRow, reason: str) -> None:
        self._metrics.provider_failed(call.kind)
        log.warning("provider call failed", provider=call.provider_id, run=call.run_id, reason=reason)

    async def _renew(self) -> float:
        if self._under_way:
            await store.renew(self._pool, list(self._under_way), owner=self._owner, lease_seconds=LEASE_SECONDS)
        return RENEW_SECONDS

    async def _take_over(self) -> float:
        """Only what there is room for, should it all be one provider's: each taking over counts as an attempt."""
        limit = min(TAKEN_OVER_AT_ONCE, self._max_waiting)
        found = await store.take_over(
            self._pool,
            owner=self._owner,
            lease_seconds=LEASE_SECONDS,
            limit=limit,
            but_of=[provider_id for provider_id in self._by_provider if self._room(provider_id) < limit],
        )
        for call, attempt in found:
            if call.call_id not in self._under_way:
                self.dispatch([call], attempt)
        return 0.0 if len(found) == limit else 1.0


def _is_refusal(error: CallFailed) -> bool:
    """The fault is the request's: nothing that other people's calls should suffer for."""
    return isinstance(error, BadStatus) and 400 <= error.status < 500 and error.status not in _PROVIDERS_OWN_4XX


def _bounded(events: list[InteractionEvent]) -> list[InteractionEvent]:
    if len(events) > MAX_EVENTS:
        raise BadAnswer(f"events: at most {MAX_EVENTS}")
    return events
