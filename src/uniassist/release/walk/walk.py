"""One run's steps, each journalled: look first, then intent, effect, observation. Rollout and rollback walk so.

A step that a killed run left in doubt is looked at, and done only where it wasn't: resuming is walking again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now, seconds_since
from uniassist.release.drivers.driver import Driver, DriverFailed, Observed
from uniassist.release.env.services import ROLLOUT_ORDER, place_of
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import to_the_end
from uniassist.release.records.home import Home
from uniassist.release.records.journal import Journal
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.runs import Run, RunProgress, progress_of
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.steps import Advice, Steps, Wording
from uniassist.release.walk import observation

SECTION = "Rollout order"
ADVICE = Advice("uniassist release rollback", "look first, mend it, and go on with: uniassist release resume")
HEALTHY_SECONDS = 60.0
STOPPED_SECONDS = 60.0
POLL_SECONDS = 0.1
# A verb of a driver has its own deadlines; this one is for one that forgot.
VERB_SECONDS = 1800.0


@dataclass
class Walk:
    """What the steps of a run share. The environment's lock is held.

    healthy_seconds, stopped_seconds: how long each service may take.
    waiting: services that lack nothing but one that comes later.
    services: those of what is released, in rollout order.
    """

    run: Run
    journal: Journal
    home: Home
    driver: Driver
    steps: Steps
    healthy_seconds: float = HEALTHY_SECONDS
    stopped_seconds: float = STOPPED_SECONDS
    waiting: list[str] = field(default_factory=list)
    services: tuple[str, ...] = ROLLOUT_ORDER

    @property
    def progress(self) -> RunProgress:
        return progress_of(self.journal.entries)

    async def once(self, step: str, what: str, work: Callable[[], Awaitable[str]]) -> str:
        """A step without a service. What is done already in this run isn't done again."""
        if step in self.progress.done:
            return "done already"
        return await to_the_end(self.again, step, what, work)

    async def again(self, step: str, what: str, work: Callable[[], Awaitable[str]]) -> str:
        """The same of one that has to be done anew whenever the run is resumed."""
        self.journal.append("intent", step, text=what)
        return await self._worked(step, work)

    async def give(self, service: str, release: Release, verb: str) -> str:
        """`service` runs `release`, seen healthy. CheckFailed when it can't be had, or isn't seen in time."""
        observed = await self.driver.observe(service)
        if not observation.runs(observed, release):
            title = f"{service} {observation.name_of(observed)} → {release.tag}"
            found = {"verb": verb, "release": release.id, "before": observation.document(observed)}
            self.journal.append("intent", service, service=service, text=title, found=found)
            act = self.driver.revert if verb == "revert" else self.driver.deploy
            await self._to_its_end(service, service, lambda: act(service, release))
        self.home.change(lambda known: known.given(service, release.id))
        seen = await self._until_up(service, release, may_wait=True)
        self._seen(service, service, seen)
        if seen.ok:
            return ""
        self.waiting.append(service)
        return f"but for {', '.join(seen.failing)}, which comes later; it is looked at again then"

    async def look_again(self, service: str, release: Release) -> str:
        """What waited for a later service is healthy, now that that is there."""
        self._seen(service, service, await self._until_up(service, release, may_wait=False))
        return ""

    async def take_away(self, step: str, service: str, release: Release, revision: str | None) -> str:
        """Nothing of `service` runs but `release`, proven. `revision`: what it is expected to be, when unseen."""
        observed = await self.driver.observe(service)
        if observation.runs(observed, release):
            self._seen(step, service, observed)
            return f"{service} is {release.tag} already, and goes on"
        if observed.state == "stopped" and observed.ok is None:
            self._seen(step, service, observed)
            return f"no {service} runs"
        found = {"verb": "stop", "before": observation.document(observed)}
        which = observed.revision or revision
        text = f"stop {service} {which or ''}".rstrip()
        self.journal.append("intent", step, service=service, text=text, found=found)
        # Another env set of the same revision can't be told apart by the revision.
        only = which if which != release.tag else None
        await self._to_its_end(step, service, lambda: self.driver.stop(service, only))
        self.home.change(lambda known: known.stopped(service))
        self._seen(step, service, await self._until_gone(step, service, release))
        return f"{service} {which or ''} is stopped, nothing of it runs"

    async def stop_others(self, services: Sequence[str], release: Release) -> bool:
        """Stop services that are no part of the release, though they were of the one before."""
        is_well = True
        for service in services:
            is_well &= await self.steps.run(
                f"stop {service}, which {release.tag} doesn't have",
                partial(self.take_away, f"stop {service}", service, release, None),
                runbook=f"{SECTION} {place_of(service)}",
                deadline_seconds=VERB_SECONDS + self.stopped_seconds,
                advice=ADVICE,
                wording=Wording("stopped"),
            )
        return is_well

    async def look_at_waiting(self, target: Release) -> bool:
        """A second look at what waited for a later service; on a first release adapter-wechat does."""
        is_well = True
        for service in self.waiting:
            is_well &= await self.steps.before(
                f"{service} {target.tag}, once more",
                partial(self.look_again, service, target),
                runbook=f"{SECTION} {place_of(service)}",
                deadline_seconds=VERB_SECONDS + self.healthy_seconds,
                advice=ADVICE,
            )
        return is_well

    async def interrupted(self, target: Release) -> None:
        """Its end after a Ctrl-C, with what runs now."""
        seen = await observation.observe_all(self.driver, self.services)
        self.note(f"interrupted; {observation.standing(seen, target)}")
        self.end(ExitCode.INTERRUPTED, "interrupted")
        self.tell(seen, target)

    def tell(self, seen: observation.Seen, target: Release) -> None:
        """The last word of every run: what runs."""
        for line in observation.summary(seen, target):
            self.steps.say(line)

    def note(self, text: str) -> None:
        self.journal.append("note", "run", text=text)

    def end(self, code: int, result: str) -> None:
        """The entry last: without it the run isn't over, whatever run.json says."""
        try:
            self.home.runs.write(end_run(self.run, code))
        except StartError as error:
            if self.home.forgiving is None:
                raise
            self.home.forgiving.lose(error)
        self.journal.append("end", "run", text=result, found={"exitCode": code, "result": result})

    async def _worked(self, step: str, work: Callable[[], Awaitable[str]]) -> str:
        began = time.monotonic()
        try:
            said = await work()
        except (DriverFailed, CheckFailed) as error:
            self.journal.append("effect", step, found={"failed": str(error)})
            raise CheckFailed(str(error)) from None
        self.journal.append("effect", step, found={"seconds": seconds_since(began)})
        self.journal.append("observation", step, text=said)
        return said

    async def _to_its_end(self, step: str, service: str, act: Callable[[], Awaitable[None]]) -> None:
        """A Ctrl-C waits for an effect under way, but not for a person who may never come."""
        if self.driver.waits_for_a_person:
            await self._acted(step, service, act)
        else:
            await to_the_end(self._acted, step, service, act)

    async def _acted(self, step: str, service: str, act: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(VERB_SECONDS):
                await act()
        except (DriverFailed, TimeoutError) as error:
            reason = str(error) or f"the driver wasn't done within {VERB_SECONDS:.0f} s"
            self.journal.append("effect", step, service=service, found={"failed": reason})
            raise CheckFailed(reason) from None
        self.journal.append("effect", step, service=service, found={"seconds": seconds_since(began)})

    async def _until_up(self, service: str, release: Release, *, may_wait: bool) -> Observed:
        """`may_wait`: one that only lacks a later service, and that isn't there, is as healthy as it can be."""

        async def is_up(seen: Observed) -> bool:
            lacking = observation.waits_for(seen, release) if may_wait else ()
            return observation.is_up(seen, release) or (bool(lacking) and not await self._any_up(lacking))

        seen = await self._until(service, is_up, self.healthy_seconds)
        if await is_up(seen):
            return seen
        why = f"not healthy as {release.tag} within {self.healthy_seconds:g} s: {observation.said(seen)}"
        if seen.stranger:
            why = f"who answers at the URL of {service} isn't what was started here: {observation.said(seen)}"
        self._failed(service, service, seen, why)
        raise CheckFailed(why)

    async def _until_gone(self, step: str, service: str, release: Release) -> Observed:
        async def gone(seen: Observed) -> bool:
            return observation.runs(seen, release) or (seen.state != "running" and seen.ok is None)

        seen = await self._until(service, gone, self.stopped_seconds)
        if await gone(seen):
            return seen
        why = f"{service} still runs after it was stopped: {observation.said(seen)}"
        self._failed(step, service, seen, why)
        raise CheckFailed(why)

    async def _any_up(self, services: tuple[str, ...]) -> bool:
        return any([(await self.driver.observe(service)).ok for service in services])

    async def _until(
        self, service: str, condition: Callable[[Observed], Awaitable[bool]], seconds: float
    ) -> Observed:
        """The first observation for which it holds, or the last one in time."""
        end = time.monotonic() + seconds
        while True:  # ends: with the condition, or the time
            seen = await self.driver.observe(service)
            if await condition(seen) or time.monotonic() > end:
                return seen
            await asyncio.sleep(POLL_SECONDS)

    def _seen(self, step: str, service: str, observed: Observed) -> None:
        self.journal.append(
            "observation", step, service=service, found={"observed": observation.document(observed)}
        )

    def _failed(self, step: str, service: str, seen: Observed, why: str) -> None:
        found = {"observed": observation.document(seen), "failed": why}
        self.journal.append("observation", step, service=service, found=found)


def end_run(run: Run, code: int) -> Run:
    """Its document, once it has ended."""
    return msgspec.structs.replace(run, exit_code=code, ended_at=now())
