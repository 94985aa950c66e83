"""The samples of a system that runs: by HTTP from its services, and directly from its Postgres and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from uniassist.release.watch import outbox_metrics, probing
from uniassist.release.watch.by_url import Checks, run_round
from uniassist.release.watch.triggers.samples import Attempt, Cadence, OutboxMetrics, Probe, Round
from uniassist.web.calling.client import JsonClient


class RunningSystem:
    """`urls` by service. `database_url`, `redis_url` None: not tried directly, judged by what services say."""

    def __init__(
        self,
        client: JsonClient,
        cadence: Cadence,
        urls: Mapping[str, str],
        checks: Checks | None,
        *,
        database_url: str | None,
        redis_url: str | None,
    ) -> None:
        self._client = client
        self._cadence = cadence
        self._urls = urls
        self._checks = checks
        self._database_url = database_url
        self._redis_url = redis_url

    async def probe(self, service: str) -> Probe:
        return await probing.probe(self._client, service, self._urls[service], self._cadence.probe_deadline_seconds)

    async def attempt(self, dependency: str) -> Attempt:
        seconds = self._cadence.probe_deadline_seconds
        if dependency == "postgres" and self._database_url is not None:
            return await probing.attempt_postgres(self._database_url, seconds)
        if dependency == "redis" and self._redis_url is not None:
            return await probing.attempt_redis(self._redis_url, seconds)
        return Attempt(asyncio.get_running_loop().time(), None, "no URL")

    async def round(self) -> Round:
        if self._checks is None:
            at = asyncio.get_running_loop().time()
            return Round(at, at, "unknown", "no URLs to check")
        return await run_round(self._checks, self._cadence.round_deadline_seconds)

    async def metrics(self) -> OutboxMetrics | None:
        if self._database_url is not None:
            return await outbox_metrics.from_database(self._database_url)
        if "gateway" in self._urls:
            return await outbox_metrics.from_gateway(self._client, self._urls["gateway"])
        return None
