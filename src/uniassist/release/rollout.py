"""A rollout: the new revision made ready, its expanding migrations, then the services in the runbook's order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from uniassist.release import observation
from uniassist.release.drivers.driver import Release
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import to_the_end
from uniassist.release.observation import SERVICES
from uniassist.release.steps import Advice, Wording
from uniassist.release.walk import VERB_SECONDS, Walk

SECTION = "Rollout order"
STEPS = len(SERVICES)
PREPARE_SECONDS = 1200.0
NEXT = "uniassist release rollback"
SAFE = "look first, mend it, and go on with: uniassist release resume"


@dataclass
class Rollout:
    """`migrate` runs the release's own expanding migrations. `before`: revisions by service, as they were seen."""

    walk: Walk
    target: Release
    migrate: Callable[[], Awaitable[str]]
    before: dict[str, str] = field(default_factory=dict)

    async def run(self) -> ExitCode:
        """Also of one that was begun before: what is done is looked at and left. Stops at the first failure."""
        self.walk.home.change(lambda known: known.aiming_at(self.target.id))
        try:
            done = await self._walk()
        except asyncio.CancelledError:
            await to_the_end(self._interrupted)
            raise
        seen = await observation.observe_all(self.walk.driver)
        code = ExitCode.DONE if done else ExitCode.ROLLOUT
        self.walk.end(code, "done" if done else "stopped")
        tell(self.walk, seen, self.target)
        return code

    async def _walk(self) -> bool:
        seen = await observation.observe_all(self.walk.driver)
        self.before |= {name: observation.name_of(observed) for name, observed in seen.items()}
        ready = await self._before("prepare", self._prepare) and await self._before("migrations", self._migrate)
        for number, service in enumerate(SERVICES, start=1):
            if not ready:
                why = "the rollout stops at the first failure"
                self.walk.steps.not_run(self._title(service), why, runbook=f"{SECTION} {number}")
                continue
            ready = await self.walk.steps.run(
                self._title(service),
                lambda service=service: self.walk.give(service, self.target, "deploy"),  # type: ignore[misc]
                runbook=f"{SECTION} {number}",
                deadline_seconds=VERB_SECONDS + self.walk.healthy_seconds,
                advice=Advice(NEXT, SAFE),
                wording=Wording("healthy"),
            )
        for service in self.walk.waiting if ready else ():
            ready &= await settled(self.walk, service, self.target)
        return ready

    async def _before(self, name: str, work: Callable[[], Awaitable[str]]) -> bool:
        return await self.walk.steps.before(
            name,
            work,
            runbook="Rollout order",
            deadline_seconds=VERB_SECONDS + PREPARE_SECONDS,
            advice=Advice("uniassist release resume", "no service was touched; leave it: uniassist release abort"),
        )

    async def _prepare(self) -> str:
        """Before anything stops: afterwards no network is needed."""
        what = f"make {self.target.id} ready"
        return await self.walk.once("prepare", what, lambda: self.walk.driver.prepare(self.target))

    async def _migrate(self) -> str:
        return await self.walk.once("migrations", f"expanding migrations of {self.target.tag}", self.migrate)

    def _title(self, service: str) -> str:
        return f"{service} {self.before.get(service, '?')} → {self.target.tag}"

    async def _interrupted(self) -> None:
        seen = await observation.observe_all(self.walk.driver)
        self.walk.note(f"interrupted; {observation.standing(seen, self.target)}")
        self.walk.end(ExitCode.INTERRUPTED, "interrupted")
        tell(self.walk, seen, self.target)


async def settled(walk: Walk, service: str, target: Release) -> bool:
    """The second look at one that waited for a later service; on a first release adapter-wechat does."""
    return await walk.steps.before(
        f"{service} {target.tag}, once more",
        lambda: walk.settle(service, target),
        runbook=f"{SECTION} {SERVICES.index(service) + 1}",
        deadline_seconds=VERB_SECONDS + walk.healthy_seconds,
        advice=Advice(NEXT, SAFE),
    )


def tell(walk: Walk, seen: observation.Seen, target: Release) -> None:
    """The last word of every run."""
    for line in words(seen, target):
        walk.steps.say(line)


def words(seen: observation.Seen, target: Release) -> list[str]:
    """What runs, from observation."""
    word = {
        "all-new": f"all-new: every service is {target.tag}",
        "all-old": f"all-old: no service is {target.tag}",
        "mixed": f"MIXED: some services are {target.tag}, some are not",
    }[observation.standing(seen, target)]
    return [word, *(f"  {line}" for line in observation.lines(seen))]
