"""A drill from its prerequisites to the last row taken away; what happened is kept also when it is interrupted."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from uniassist.release import drill_prerequisites, throwaway
from uniassist.release.drill import Drill, Target
from uniassist.release.drill_cleanup import Cleaned, clean_up
from uniassist.release.entries import clock_ms
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import to_the_end
from uniassist.release.steps import Steps, now, seconds_since

STEPS = 4


@dataclass
class Conducted:
    """One drill. `cleaned` None: nothing was injected."""

    mode: str
    steps: Steps
    started_at: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    interrupted: bool = False
    target: Target | None = None
    drill: Drill | None = None
    cleaned: Cleaned | None = None

    @property
    def result(self) -> str:
        if self.interrupted:
            return "interrupted"
        if not self.steps.ok or (self.cleaned is not None and self.cleaned.left):
            return "failed"
        return "inconclusive: a step was skipped" if self.steps.skipped else "passed"

    @property
    def exit_code(self) -> ExitCode:
        codes = {"passed": ExitCode.DONE, "failed": ExitCode.DRILL, "interrupted": ExitCode.INTERRUPTED}
        return codes.get(self.result, ExitCode.INCONCLUSIVE)


async def conduct(target: Target, conducted: Conducted) -> None:
    """Refused before anything is touched, when it would test nothing; else it cleans up, whatever comes."""
    conducted.target = target
    async with AsyncExitStack() as stack:
        try:
            connection = await asyncpg.connect(target.database_url, timeout=5.0, command_timeout=30.0)
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise Refused(ExitCode.PREFLIGHT, f"DATABASE_URL: can't connect: {error}") from None
        stack.push_async_callback(connection.close, timeout=5.0)
        redis = Redis.from_url(target.redis_url, socket_timeout=5.0, socket_connect_timeout=2.0)
        stack.push_async_callback(redis.aclose)
        try:
            begun_ms = await clock_ms(redis)
        except (OSError, RedisError) as error:
            raise Refused(ExitCode.PREFLIGHT, f"REDIS_URL: can't connect: {error}") from None
        await drill_prerequisites.check(target, connection, redis)
        conducted.drill = Drill(target, connection, redis)
        try:
            await conducted.drill.run(conducted.steps)
        finally:
            conducted.cleaned = await to_the_end(clean_up, conducted.drill, begun_ms)


async def simulate(conducted: Conducted, *, step_seconds: float, destroys_group: bool) -> None:
    """The same drill on a system of its own."""
    async with throwaway.system() as system:
        target = Target(
            "simulate",
            system.database_url,
            system.redis_url,
            system.prefix,
            system.global_key,
            system.group,
            system.env,
            step_seconds,
            destroys_group,
        )
        await conduct(target, conducted)


def document(conducted: Conducted) -> dict[str, Any]:
    """What the report says, for scripts; made as it ends. Not masked yet."""
    target, drill, cleaned = conducted.target, conducted.drill, conducted.cleaned
    found: dict[str, Any] = {
        "mode": conducted.mode,
        "result": conducted.result,
        "exitCode": int(conducted.exit_code),
        "startedAt": conducted.started_at,
        "endedAt": now(),
        "seconds": seconds_since(conducted.began),
        "run": drill.name if drill else None,
        "steps": conducted.steps.document(),
        "interruptedDuring": conducted.steps.under_way,
        "commandOutput": drill.outputs if drill else [],
        "cleanUp": cleaned.sentence() if cleaned else "nothing was injected",
    }
    if target is not None:
        found |= {
            "databaseUrl": target.database_url,
            "redisUrl": target.redis_url,
            "streamPrefix": target.prefix,
            "globalKey": target.global_key,
            "group": target.group,
        }
    return found
