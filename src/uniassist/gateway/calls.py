"""Provider calls: made after the commit that owes them, ended by the commit that holds their answer.

How a provider is asked is its kind's matter (`providers/kinds`).
The row of a call carries a lease of this gateway, which renews it while the call is under way.
When a gateway dies its leases run out, and any other takes its calls over with the same idempotency keys.
An answer lands once: its commit needs the lease, and deletes the row.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec
import structlog

from uniassist.contracts.provider import InteractRequest, InvokeRequest
from uniassist.errors import ServerFault, SessionNotFound, Unavailable, UniAssistError
from uniassist.gateway.hearing import Hearing, events_scope
from uniassist.gateway.live.board import Board
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.provider_answer import ProviderAnswer, RunCancelled, request_of
from uniassist.gateway.providers.breaker import Breaker
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.kind import Asked, Kind, Said
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns.batch import CallLost
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.long_runs import overdue
from uniassist.gateway.turns.turn import Turn
from uniassist.lifecycle import Loop, Pauses
from uniassist.store import calls as store
from uniassist.store.ledger import CallRow
from uniassist.store.server.pool import Pool
from uniassist.tracing import NO_SPANS, Spans
from uniassist.web.calling.client import BadStatus, CallFailed

log = structlog.get_logger()

LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
# For how long a call without a gateway waits for one that knows its provider, before any ends it without an answer.
PATIENCE_SECONDS = 60.0
MAX_WAITING = 2000
TAKEN_OVER_AT_ONCE = 100
MAX_ATTEMPTS = 5
OVERDUE_AT_ONCE, OVERDUE_SECONDS = 100, 5.0
_OF_ITS_STATE = (408, 429)  # too slow, too many: such a 4xx is about the provider, not about the request


@dataclass
class _Lane:
    """One provider's bulkhead: how many calls at once, and whether it is worth trying."""

    limit: asyncio.Semaphore
    breaker: Breaker = field(default_factory=Breaker)


class Calls:
    """Makes calls: those that it is given (`dispatch`) at once, those that other gateways left in the background.

    `owner`: names this gateway in the leases.
    `board`: takes what streamed answers say while they come.
    `max_waiting`: calls of one provider beside those that it is busy with. A provider that hangs leaves the others
    their room.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        kinds: Mapping[str, Kind],
        board: Board,
        registry: ProviderRegistry,
        owner: str,
        metrics: GatewayMetrics,
        spans: Spans = NO_SPANS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._pool = pool
        self._kinds = kinds
        self._board = board
        self._registry = registry
        self._owner = owner
        self._metrics = metrics
        self._spans = spans
        self._max_waiting = max_waiting
        self._group_commit: GroupCommit | None = None
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._by_provider = Counter[str]()
        self._asking: dict[str, tuple[str, asyncio.Timeout]] = {}  # call → its run, and what ends the asking
        self._overdue = Loop("overdue-runs", self._end_overdue)
        self._loops = (Loop("renew-calls", self._renew), Loop("take-over-calls", self._take_over), self._overdue)

    def start(self, group_commit: GroupCommit) -> None:
        self._group_commit = group_commit
        for loop in self._loops:
            loop.start()

    async def stop(self, deadline_seconds: float) -> None:
        """Let calls finish until the deadline; the others are free for another gateway, or for the next start."""
        await asyncio.gather(self._loops[1].stop(), self._overdue.stop())
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
            except ServerFault as error:
                log.warning("calls are left to their leases", calls=len(left), error=repr(error))

    def dispatch(self, calls: Sequence[CallRow], attempt: int = 1) -> None:
        """Start the calls. One beyond its provider's bound isn't lost: it is taken over once its lease runs out."""
        for call in calls:
            if self._room(call.provider_id) <= 0:
                log.warning(
                    "too many calls of this provider under way", provider=call.provider_id, waiting=call.call_id
                )
                continue
            task = asyncio.create_task(self._carry_out(call, attempt), name=call.call_id)
            self._under_way[call.call_id] = task
            self._by_provider[call.provider_id] += 1
            task.add_done_callback(partial(self._ended, call.provider_id))

    def stop_asking(self, ids: Iterable[str]) -> None:
        """Hang up on the providers of these runs, or calls: their persons cancelled them."""
        stopped = set(ids)
        self._hang_up(
            asking for call_id, (run_id, asking) in self._asking.items() if run_id in stopped or call_id in stopped
        )

    @staticmethod
    def _hang_up(asked: Iterable[asyncio.Timeout]) -> None:
        now = asyncio.get_running_loop().time()
        for asking in asked:
            if not asking.expired():
                asking.reschedule(now)

    def breakers(self) -> dict[str, tuple[Breaker, int]]:
        """Of each provider that was called since the start: its breaker, and its calls under way."""
        return {
            provider_id: (lane.breaker, self._by_provider.get(provider_id, 0))
            for (provider_id, _), lane in self._lanes.items()
        }

    def _room(self, provider_id: str) -> int:
        provider = self._registry.catalogue.get(provider_id)
        at_once = provider.concurrency if provider is not None else 0
        return at_once + self._max_waiting - self._by_provider[provider_id]

    def _ended(self, provider_id: str, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task.get_name(), None)
        self._by_provider[provider_id] -= 1
        if self._by_provider[provider_id] == 0:
            del self._by_provider[provider_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("provider call broke", call=task.get_name(), error=repr(error))

    async def _carry_out(self, call: CallRow, attempt: int) -> None:
        request = request_of(call)
        hearing = Hearing(call, request, attempt, self._board, self._submit)
        try:
            said = await self._said(call, request, attempt, hearing)
            name = self._registry.catalogue.name(call.provider_id, request.context.user.locale)
            turn = Turn(
                session_id=call.session_id,
                decide=ProviderAnswer(call, request, said, name, self._registry.catalogue).decide,
                run_id=call.run_id,
                call_id=call.call_id,
                traceparent=call.traceparent,
                follows_successor=False,
            )
            hearing.close()  # before the commit, as for each event
            await self._submit(turn)
        except CallLost:
            self._metrics.calls_lost.inc()
        except SessionNotFound:
            log.warning("a call's session is gone, its answer with it", call=call.call_id, run=call.run_id)
            await store.forget(self._pool, call.call_id, owner=self._owner)
        finally:
            hearing.close()

    async def _submit(self, turn: Turn) -> None:
        """Submit until the turn is committed: an outage loses no answer. CallLost, SessionNotFound."""
        assert self._group_commit is not None
        pauses = Pauses(0.1, 2.0)
        while True:  # ends: with the commit, with the lease, or with `stop`
            try:
                await self._group_commit.submit(turn)
            except Unavailable:
                await pauses.wait()
            else:
                return

    async def _said(
        self, call: CallRow, request: InvokeRequest | InteractRequest, attempt: int, hearing: Hearing
    ) -> Said | None:
        """What is left to be said of the answer. None: it failed, or its person cancelled the run."""
        provider = self._registry.catalogue.get(call.provider_id)
        if provider is None or provider.base_url is None or attempt > MAX_ATTEMPTS:
            return None
        if attempt > 1:
            hearing.written = await store.written_events(self._pool, events_scope(call.call_id))
        try:
            async with asyncio.timeout(None) as asking:
                self._asking[call.call_id] = (call.run_id, asking)
                said = await self._call(provider, call, request, attempt, hearing)
        except RunCancelled:
            return None
        except TimeoutError:
            if not asking.expired():
                raise
            return None
        finally:
            self._asking.pop(call.call_id, None)
        if said is None:
            return None
        unfinished = hearing.unfinished()
        return replace(said, events=[*unfinished, *said.events]) if unfinished else said

    async def _call(
        self,
        provider: Provider,
        call: CallRow,
        request: InvokeRequest | InteractRequest,
        attempt: int,
        hearing: Hearing,
    ) -> Said | None:
        lane = self._lane(provider)
        try:
            if not lane.limit.locked():
                await lane.limit.acquire()  # at once
            else:
                # The wait has the call's own deadline, so a provider that hangs delays nobody for longer.
                async with asyncio.timeout(provider.timeout_seconds):
                    await lane.limit.acquire()
        except TimeoutError:
            self._failed(call, "no free place among its calls")
            return None
        try:
            if not lane.breaker.allows(time.monotonic()):
                self._failed(call, "its breaker is open")
                return None
            began = time.monotonic()
            said = await self._ask(provider, call, request, attempt, hearing)
        except (asyncio.CancelledError, UniAssistError):
            lane.breaker.refused(time.monotonic())  # it was its person's doing, or ours, and not the provider's
            raise
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
        self._metrics.provider_answered(provider.provider_id, time.monotonic() - began)
        return said

    async def _ask(
        self,
        provider: Provider,
        call: CallRow,
        request: InvokeRequest | InteractRequest,
        attempt: int,
        hearing: Hearing,
    ) -> Said:
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
        failure: str | None = "cancelled"
        try:
            others = self._registry.catalogue.specialists if provider.is_fallback else ()
            asked = Asked(provider, call.kind, _numbered(request, attempt), headers, others)
            said = await self._kinds[provider.kind].ask(asked, hearing)
            failure = None
        except CallFailed as error:
            failure = str(error)
            raise
        finally:
            span.end(error=failure)
        return said

    def _lane(self, provider: Provider) -> _Lane:
        """The provider's lane. A changed `concurrency` makes a new one; calls under way end in the old one."""
        key = (provider.provider_id, provider.concurrency)
        if key not in self._lanes:
            self._lanes = {each: lane for each, lane in self._lanes.items() if each[0] != key[0]}
            self._lanes[key] = _Lane(asyncio.Semaphore(provider.concurrency))
        return self._lanes[key]

    def _failed(self, call: CallRow, reason: str) -> None:
        self._metrics.provider_failed(call.kind, call.provider_id)
        log.warning("provider call failed", provider=call.provider_id, run=call.run_id, reason=reason)

    async def _renew(self) -> float:
        if self._under_way:
            calls = list(self._under_way)
            await store.renew(self._pool, calls, owner=self._owner, lease_seconds=LEASE_SECONDS)
            # Hung up on at once where the cancellation was heard of; this finds those that weren't.
            in_vain = await store.in_vain(self._pool, calls)
            self._hang_up(asking for call_id, (_, asking) in self._asking.items() if call_id in in_vain)
        return RENEW_SECONDS

    async def _take_over(self) -> float:
        """Take over as many calls as there is room for, were they all one provider's: each counts as an attempt."""
        limit = min(TAKEN_OVER_AT_ONCE, self._max_waiting)
        found = await store.take_over(
            self._pool,
            owner=self._owner,
            lease_seconds=LEASE_SECONDS,
            limit=limit,
            known_providers=self._registry.catalogue.connected,
            patience_seconds=PATIENCE_SECONDS,
            exclude_providers=[provider_id for provider_id in self._by_provider if self._room(provider_id) < limit],
        )
        for call, attempt in found:
            if call.call_id not in self._under_way:
                self.dispatch([call], attempt)
        return 0.0 if len(found) == limit else 1.0

    async def _end_overdue(self) -> float:
        """End the open runs whose time is over; their persons are told. Other gateways look too: one is first."""
        found = await store.overdue_runs(self._pool, OVERDUE_AT_ONCE)
        for run_id, session_id in found:
            try:
                await self._submit(overdue(run_id, session_id, self._registry.catalogue.name))
            except SessionNotFound:
                await store.forget_run(self._pool, run_id)
        return 0.0 if len(found) == OVERDUE_AT_ONCE else OVERDUE_SECONDS


def _is_refusal(error: CallFailed) -> bool:
    """Whether the provider finds fault with this request: other people's calls shouldn't suffer for it."""
    return isinstance(error, BadStatus) and 400 <= error.status < 500 and error.status not in _OF_ITS_STATE


def _numbered(request: InvokeRequest | InteractRequest, attempt: int) -> InvokeRequest | InteractRequest:
    """The request as it was stored, with the number of this attempt."""
    if isinstance(request, InvokeRequest):
        return msgspec.structs.replace(request, run=msgspec.structs.replace(request.run, attempt=attempt))
    return msgspec.structs.replace(request, run=msgspec.structs.replace(request.run, attempt=attempt))
