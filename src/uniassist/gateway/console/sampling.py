"""An hour of the system's figures, a sample each ten seconds, kept in this gateway's memory and nowhere else.

What is looked at costs Postgres and Redis a few bounded questions each time, whoever watches or doesn't: a page
asks for the samples that are there, and never for a look of its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from uniassist.contracts.base import Int64, TimestampMs, Wire
from uniassist.errors import ServerFault
from uniassist.gateway.calls import Calls
from uniassist.gateway.console.shapes import Paused
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns.ids import now_ms
from uniassist.lifecycle import Loop
from uniassist.store import console, delivery, outbox
from uniassist.store.server.pool import Pool
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lane_groups import look_all
from uniassist.streams.stream_groups import StreamGroups
from uniassist.web.calling.client import CallFailed, JsonClient
from uniassist.web.health import Health, HealthRegistry

EVERY_SECONDS = 10.0
KEPT = 360  # an hour
LOOK_SECONDS = 4.0
T = TypeVar("T")


class Sample(Wire, frozen=True):
    """`at`: when. Counters are since this gateway's start, of all its processes; absent figures couldn't be had."""

    at: TimestampMs
    inputs: Int64
    input_errors: Int64
    input_p95_ms: float
    answered: Int64
    failed: Int64
    followers: Int64
    pending: Int64 | None = None
    processing: Int64 | None = None
    failed_events: Int64 | None = None
    delivered: Int64 | None = None
    dead_letter: Int64 | None = None
    oldest_seconds: float | None = None
    consumed_per_second: float | None = None
    to_consumed_p50_ms: float | None = None
    to_consumed_p95_ms: float | None = None
    stream_entries: Int64 | None = None
    held_seconds: float | None = None
    db_connections: Int64 | None = None
    redis_bytes: Int64 | None = None


class ServiceSeen(Wire, frozen=True):
    """`state`: ok; degraded: it works, though something optional doesn't; failing; away: it doesn't answer.

    `problem`: what is wrong, in words. `checks`: ok, or what is wrong, by check.
    """

    name: str
    state: str
    checks: dict[str, str] = msgspec.field(default_factory=dict)
    problem: str | None = None
    version: str | None = None
    revision: str | None = None


class WorkerSeen(Wire, frozen=True):
    """`shards`: which it holds."""

    worker: str
    consumed_per_second: float
    shards: list[int]


class GroupSeen(Wire, frozen=True):
    group: str
    pending: Int64
    consumers: list[str]
    held_seconds: float
    holds_trimming: bool
    is_idle: bool
    held_entry: str | None = None


class ProviderSeen(Wire, frozen=True):
    """Of the process that answers, since its start.

    `breaker`: closed, open, trial due. `manifest` absent: not looked at yet.
    """

    provider_id: str
    connected: bool
    breaker: str
    failures: Int64
    under_way: Int64
    answered: Int64
    failed: Int64
    p50_ms: float | None = None
    p95_ms: float | None = None
    manifest: bool | None = None


class ServerSeen(Wire, frozen=True):
    """Postgres or Redis. `problem`: why there are no `facts`."""

    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    problem: str | None = None


class Now(Wire, frozen=True):
    """The last look. `unowned`: shards that no worker holds."""

    at: TimestampMs
    services: list[ServiceSeen]
    workers: list[WorkerSeen]
    unowned: list[int]
    groups: list[GroupSeen]
    providers: list[ProviderSeen]
    database: ServerSeen
    redis: ServerSeen
    paused: Paused | None = None
    counted_up_to: Int64 = delivery.COUNTED_UP_TO


@dataclass(frozen=True)
class _Seen:
    """One look; empty where it couldn't be had."""

    backlog: dict[str, Any]
    times: dict[str, Any]
    workers: list[dict[str, Any]]
    owners: list[str | None]
    control: dict[str, Any] | None
    database: ServerSeen
    groups: StreamGroups | None
    redis: ServerSeen


class Sampling:
    """Looks each EVERY_SECONDS. `services`: URL by name of the others, whose health is asked for."""

    def __init__(
        self,
        *,
        pool: Pool,
        clients: LaneClients,
        metrics: GatewayMetrics,
        calls: Calls,
        registry: ProviderRegistry,
        health: HealthRegistry,
        client: JsonClient,
        services: Mapping[str, str],
        paused_of: Callable[[Mapping[str, Any]], Paused | None],
    ) -> None:
        self._pool = pool
        self._clients = clients
        self._metrics = metrics
        self._calls = calls
        self._registry = registry
        self._health = health
        self._client = client
        self._services = services
        self._paused_of = paused_of
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.now: Now | None = None
        self.loop = Loop("console-samples", self._once)

    async def _once(self) -> float:
        began = time.monotonic()
        services, seen = await asyncio.gather(
            asyncio.gather(*(self._service(name, url) for name, url in self._services.items())), self._look()
        )
        at = now_ms()
        self.samples.append(self._sample(at, seen))
        self.now = self._now(at, seen, [_service("gateway", self._health.read()), *services])
        return max(1.0, EVERY_SECONDS - (time.monotonic() - began))

    async def _look(self) -> _Seen:
        backlog, times, database, groups, info = await asyncio.gather(
            _asked(delivery.backlog(self._pool)),
            _asked(console.delivery_times(self._pool)),
            _asked(console.database(self._pool)),
            _asked(look_all(self._clients)),
            _asked(self._info()),
        )
        workers, shards, control = await asyncio.gather(
            _asked(self._workers()), _asked(console.shards(self._pool)), _asked(self._control())
        )
        return _Seen(
            backlog=dict(backlog[0] or {}),
            times=dict(times[0] or {}),
            workers=workers[0] or [],
            owners=shards[0] or [],
            control=control[0],
            database=ServerSeen(facts=dict(database[0] or {}), problem=database[1]),
            groups=groups[0],
            redis=ServerSeen(facts=info[0] or {}, problem=info[1]),
        )

    def _sample(self, at: int, seen: _Seen) -> Sample:
        own, held = self._metrics, seen.groups.holding if seen.groups is not None else None
        rates = [each["consumed_per_second"] for each in seen.workers]
        return Sample(
            at=at,
            inputs=own.ingest_total,
            input_errors=own.ingest_errors,
            input_p95_ms=own.latency_p95_ms(),
            answered=own.answered,
            failed=own.failed,
            followers=own.followers,
            pending=seen.backlog.get("pending"),
            processing=seen.backlog.get("processing"),
            failed_events=seen.backlog.get("failed"),
            delivered=seen.backlog.get("delivered"),
            dead_letter=seen.backlog.get("dead_letter"),
            oldest_seconds=seen.backlog.get("oldest_seconds"),
            consumed_per_second=round(sum(rates), 1) if rates else None,
            to_consumed_p50_ms=_milliseconds(seen.times.get("p50")),
            to_consumed_p95_ms=_milliseconds(seen.times.get("p95")),
            stream_entries=seen.groups.entries if seen.groups is not None else None,
            held_seconds=round(held.held_seconds, 1) if held else 0.0 if seen.groups is not None else None,
            db_connections=seen.database.facts.get("connections"),
            redis_bytes=seen.redis.facts.get("used_memory"),
        )

    def _now(self, at: int, seen: _Seen, services: list[ServiceSeen]) -> Now:
        return Now(
            at=at,
            services=services,
            workers=[
                WorkerSeen(
                    worker=each["worker"],
                    consumed_per_second=round(each["consumed_per_second"], 1),
                    shards=[shard for shard, owner in enumerate(seen.owners) if owner == each["worker"]],
                )
                for each in seen.workers
            ],
            unowned=[shard for shard, owner in enumerate(seen.owners) if owner is None],
            groups=_groups(seen.groups) if seen.groups is not None else [],
            providers=self._providers(),
            database=seen.database,
            redis=seen.redis,
            paused=self._paused_of(seen.control) if seen.control is not None else None,
        )

    async def _workers(self) -> list[dict[str, Any]]:
        async with self._pool.acquire(timeout=LOOK_SECONDS) as connection:
            return await outbox.workers(connection)

    async def _control(self) -> dict[str, Any]:
        async with self._pool.acquire(timeout=LOOK_SECONDS) as connection:
            return await delivery.control(connection)

    async def _info(self) -> dict[str, Any]:
        """Of one server; of a Cluster, of the first lane's node, with the memory of all that lanes are on."""
        nodes = {each["run_id"]: each for each in await self._clients.each(lambda redis, _lane: redis.info())}
        found = {**next(iter(nodes.values())), "used_memory": sum(each["used_memory"] for each in nodes.values())}
        wanted = (
            "redis_version",
            "uptime_in_seconds",
            "role",
            "used_memory",
            "maxmemory",
            "maxmemory_policy",
            "connected_clients",
            "instantaneous_ops_per_sec",
            "evicted_keys",
            "aof_enabled",
        )
        return {name: found[name] for name in wanted if name in found}

    async def _service(self, name: str, url: str) -> ServiceSeen:
        """What its /health says, whatever its status."""
        try:
            answer = await self._client.request("GET", f"{url}/health", timeout_seconds=LOOK_SECONDS)
            if answer.status not in (200, 503):
                return ServiceSeen(name=name, state="away", problem=f"its /health answers {answer.status}")
            return _service(name, self._client.shaped(f"{url}/health", replace(answer, status=200), Health))
        except CallFailed as error:
            return ServiceSeen(name=name, state="away", problem=str(error))

    def _providers(self) -> list[ProviderSeen]:
        now, breakers, found = time.monotonic(), self._calls.breakers(), list[ProviderSeen]()
        for each in self._registry.catalogue.providers:
            breaker, under_way = breakers.get(each.provider_id, (None, 0))
            answers = self._metrics.answers.get(each.provider_id)
            recent = sorted(answers.recent) if answers else []
            found.append(
                ProviderSeen(
                    provider_id=each.provider_id,
                    connected=each.base_url is not None,
                    breaker=breaker.state(now) if breaker is not None else "closed",
                    failures=breaker.failures if breaker is not None else 0,
                    under_way=under_way,
                    answered=answers.answered if answers else 0,
                    failed=answers.failed if answers else 0,
                    p50_ms=_milliseconds(recent[len(recent) // 2]) if recent else None,
                    p95_ms=_milliseconds(recent[int(len(recent) * 0.95)]) if recent else None,
                    manifest=self._registry.manifest_is_right(each.provider_id),
                )
            )
        return found


async def _asked(asking: Awaitable[T]) -> tuple[T | None, str | None]:
    """What came, or why nothing did: one server that is away hides nothing of the other."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await asking, None
    except ServerFault as fault:
        return None, fault.words
    except TimeoutError:
        return None, f"no answer within {LOOK_SECONDS:.0f} s"


def _service(name: str, health: Health) -> ServiceSeen:
    wrong = [f"{check}: {state}" for check, state in health.checks.items() if state != "ok"]
    return ServiceSeen(
        name=name,
        state="failing" if not health.ok else "degraded" if health.degraded else "ok",
        checks=health.checks,
        problem="; ".join(wrong) or None,
        version=health.version,
        revision=health.revision,
    )


def _groups(found: StreamGroups) -> list[GroupSeen]:
    return [
        GroupSeen(
            group=each.name,
            pending=each.pending,
            consumers=[one.name for one in each.consumers],
            held_seconds=round(each.held_seconds, 1),
            holds_trimming=found.holding is not None and found.holding.name == each.name,
            is_idle=each.is_idle,
            held_entry=each.held_entry,
        )
        for each in found.groups
    ]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1000, 1)
