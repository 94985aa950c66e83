"""Health: named checks, run in the background, so that `/health` answers at once, whatever hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal

import structlog

from uniassist.contracts.base import Wire
from uniassist.errors import ServerFault
from uniassist.lifecycle import Loop
from uniassist.web.processes.place import Place

log = structlog.get_logger()

Check = Callable[[], Awaitable[object]]
Level = Literal["required", "optional"]

INTERVAL_SECONDS = 1.0
STALE_SECONDS = 4.0
# At a start the others are still starting: only what goes on failing is worth a warning.
STARTING_LOOKS = 5


class Health(Wire, frozen=True):
    """The contract's body. `degraded`: works, though an optional dependency doesn't.

    checks: "ok"; else what is wrong with a server ("read-only", "full (disk)"), or "failing" of anything else.

    `instance` and `env_digest` are what the release tool gave to the process that it started; absent without one.
    `process`: which of the service's processes answers; absent where there is one only.
    """

    ok: bool
    service: str
    version: str
    revision: str
    checks: dict[str, str]
    degraded: bool | None = None
    instance: str | None = None
    env_digest: str | None = None
    process: int | None = None


class Liveness(Wire, frozen=True):
    ok: bool
    service: str


class HealthRegistry:
    """Checks by name; `async with` runs them. A check raises when what it looks at doesn't work.

    A required check that fails makes `/health` 503, an optional one makes it degraded. An answer older than
    STALE_SECONDS counts as failing, so a check that can't even be cancelled doesn't keep its last word.
    """

    def __init__(
        self,
        *,
        service: str,
        version: str,
        revision: str,
        instance: str | None = None,
        env_digest: str | None = None,
        place: Place | None = None,
    ) -> None:
        """`place`: among the service's processes; None: it has no other."""
        self.service = service
        self._version = version
        self._revision = revision
        self._instance = instance
        self._env_digest = env_digest
        self._probes: dict[str, _Probe] = {}
        self._process: int | None = None
        if place is not None and place.of > 1:
            self._process = place.number
            self.optional("processes", place.check)

    def required(self, name: str, check: Check, *, deadline_seconds: float = 0.9) -> None:
        self._add(name, check, "required", deadline_seconds)

    def optional(self, name: str, check: Check, *, deadline_seconds: float = 0.9) -> None:
        self._add(name, check, "optional", deadline_seconds)

    def read(self) -> Health:
        """The state as last seen, without waiting."""
        checks = {name: probe.state() for name, probe in self._probes.items()}
        failing = {self._probes[name].level for name, state in checks.items() if state != "ok"}
        return Health(
            ok="required" not in failing,
            service=self.service,
            version=self._version,
            revision=self._revision,
            checks=checks,
            degraded=True if failing == {"optional"} else None,
            instance=self._instance,
            env_digest=self._env_digest,
            process=self._process,
        )

    async def __aenter__(self) -> HealthRegistry:
        await asyncio.gather(*(probe.look() for probe in self._probes.values()))
        for probe in self._probes.values():
            probe.loop.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(probe.loop.stop(1.0) for probe in self._probes.values()))

    def _add(self, name: str, check: Check, level: Level, deadline_seconds: float) -> None:
        assert name not in self._probes, f"check {name} is registered twice"
        self._probes[name] = _Probe(name, check, level, deadline_seconds)


class _Probe:
    def __init__(self, name: str, check: Check, level: Level, deadline_seconds: float) -> None:
        self.name = name
        self.level = level
        self.loop = Loop(f"health {name}", self.look)
        self._check = check
        self._deadline_seconds = deadline_seconds
        self._seen = "failing"
        self._seen_at = 0.0
        self._looks = 0
        self._was_ok = False
        self._warned = False

    def state(self) -> str:
        fresh = asyncio.get_running_loop().time() - self._seen_at <= STALE_SECONDS
        return self._seen if fresh else "failing"

    async def look(self) -> float:
        """Run the check once, within its deadline; returns the pause before the next time."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._check()
        except ServerFault as fault:
            self._turn(fault.without_server, repr(fault))
        except Exception as error:  # whatever it is, it means "failing"; the log says what
            self._turn("failing", repr(error))
        else:
            self._turn("ok", None)
        return INTERVAL_SECONDS

    def _turn(self, state: str, reason: str | None) -> None:
        self._looks += 1
        if state != "ok" and not self._warned and (self._was_ok or self._looks >= STARTING_LOOKS):
            self._warned = True
            log.warning("health check failing", check=self.name, reason=reason)
        elif state == "ok" and self._warned:
            self._warned = False
            log.warning("health check ok again", check=self.name)
        self._was_ok |= state == "ok"
        self._seen = state
        self._seen_at = asyncio.get_running_loop().time()
