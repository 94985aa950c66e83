"""A rollback: the runbook's five steps in its order, by the same code as a rollout with the target swapped.

It needs neither git nor network nor a registry: all that it takes is kept. It doesn't stop at a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uniassist.release import observation
from uniassist.release.budget import Budget, clock_time
from uniassist.release.deployed import Deployed
from uniassist.release.drivers.driver import Release
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import to_the_end
from uniassist.release.observation import SERVICES
from uniassist.release.rollout import settled, tell
from uniassist.release.steps import Advice, Wording
from uniassist.release.walk import VERB_SECONDS, Walk

SECTION = "Rollback"
STEPS = len(SERVICES) + 2
ORDER = ["stop worker", *SERVICES, "verify"]
VERIFY_SECONDS = 660.0
_ADVICE = Advice("uniassist release resume", "what could be done goes on; the list of what is left follows")


@dataclass
class Rollback:
    """`verify` answers what it measured, or raises CheckFailed. `leaving` is rolled back from; None: unknown."""

    walk: Walk
    target: Release
    leaving: Release | None
    verify: Callable[[], Awaitable[str]]
    budget: Budget

    async def run(self) -> ExitCode:
        """20 when everything runs the target and is verified, else 21."""
        self.walk.home.change(self._aimed)
        try:
            await self._walk()
        except asyncio.CancelledError:
            await to_the_end(self._interrupted)
            raise
        seen = await observation.observe_all(self.walk.driver)
        left = [f"{step.name}: {step.detail}" for step in self.walk.steps.failed]
        left += [f"{name}: {observation.said(seen[name])}" for name in SERVICES if self._is_missing(seen, name)]
        if self.budget.left < 0:
            self.walk.note(f"the budget of 15 minutes was overrun by {clock_time(-self.budget.left)}")
        if not left:
            self.walk.home.change(lambda known: known.proved(self.target.id))
        code = ExitCode.ROLLBACK_INCOMPLETE if left else ExitCode.ROLLED_BACK
        self.walk.end(code, "incomplete" if left else "rolled back")
        tell(self.walk, seen, self.target)
        for line in left:
            self.walk.steps.say(f"LEFT TO DO: {line}")
        return code

    def _is_missing(self, seen: observation.Seen, service: str) -> bool:
        said = any(step.name.startswith(f"{service} ") for step in self.walk.steps.failed)
        return not said and not observation.is_up(seen[service], self.target)

    def _aimed(self, known: Deployed) -> Deployed:
        if self.leaving is not None and self.leaving.id != self.target.id:
            known = known.doubted(self.leaving.id)
        return known.aiming_at(self.target.id)

    async def _walk(self) -> None:
        seen = await observation.observe_all(self.walk.driver)
        revision = self.leaving.tag if self.leaving else None
        await self._step(
            "stop worker",
            "stop new worker",
            lambda: self.walk.take_away("stop worker", "worker", self.target, revision),
            1,
            "stopped",
        )
        for service in SERVICES:
            await self._step(
                service,
                f"{service} {observation.name_of(seen[service])} → {self.target.tag}",
                lambda service=service: self.walk.give(service, self.target, "revert"),  # type: ignore[misc]
                3,
                "healthy",
            )
        for service in self.walk.waiting:
            await settled(self.walk, service, self.target)
        await self._step("verify", f"verify {self.target.tag}", self._verified, 4, "verified")

    async def _step(
        self, step: str, title: str, work: Callable[[], Awaitable[str]], number: int, word: str
    ) -> None:
        def beside() -> str:
            self.budget.ended(step)
            return self.budget.line()

        await self.walk.steps.run(
            title,
            work,
            runbook=f"{SECTION} {number}",
            deadline_seconds=VERB_SECONDS + self.walk.healthy_seconds,
            advice=_ADVICE,
            wording=Wording(word, beside),
        )

    async def _verified(self) -> str:
        """Anew in every run: what was true before it was interrupted needn't be now."""
        return await self.walk.again("verify", f"verify {self.target.tag}", self.verify)

    async def _interrupted(self) -> None:
        seen = await observation.observe_all(self.walk.driver)
        self.walk.note(f"interrupted; {observation.standing(seen, self.target)}")
        self.walk.end(ExitCode.INTERRUPTED, "interrupted")
        tell(self.walk, seen, self.target)
