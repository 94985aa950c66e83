"""A rollback: the runbook's five steps in its order, by the same code as a rollout with the target swapped.

It needs neither git nor network nor a registry: all that it takes is kept. It doesn't stop at a failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from uniassist.errors import StartError
from uniassist.release.checks.outages import look
from uniassist.release.clock import minutes
from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.incident.incident import Incident
from uniassist.release.incident.rollback_note import RollbackNote
from uniassist.release.interrupts import to_the_end
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.kept_releases import Release, env_of
from uniassist.release.records.lock import who
from uniassist.release.records.runs import Run
from uniassist.release.report.steps import Advice, Wording, wrapped
from uniassist.release.rollback.budget import Budget
from uniassist.release.rollback.target import target_of
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.site import Site
from uniassist.release.walk.verified import make_good
from uniassist.release.walk.walk import VERB_SECONDS, Walk

SECTION = "Rollback"
ORDER = ["stop worker", *ROLLOUT_ORDER, "verify"]
_ADVICE = Advice("uniassist release resume", "what could be done goes on; the list of what is left follows")

Verify = Callable[[Release], Coroutine[Any, Any, str]]


@dataclass(frozen=True)
class RollbackRequest:
    """What an operator, or a watch, asks for.

    to: a tag or the id of a release; None: the one verified last before what runs.
    first_failed_at: when the first probe failed, ISO 8601; None: nothing had failed.
    """

    to: str | None
    first_failed_at: str | None


@dataclass
class Rollback:
    """The walk of one.

    leaving: what is rolled back from; None: unknown.
    verify: answers what it measured, or raises CheckFailed.
    held: at its end Postgres or Redis was at fault, which no rollback mends.
    gone: services of what is rolled back from that the target hasn't.
    """

    walk: Walk
    target: Release
    leaving: Release | None
    verify: Verify
    budget: Budget
    held: bool = False
    gone: tuple[str, ...] = ()

    async def run(self) -> ExitCode:
        """20 when everything runs the target and is verified, else 21."""
        self.walk.home.change(self._aimed)
        try:
            await self._walk()
        except asyncio.CancelledError:
            await to_the_end(self.walk.interrupted, self.target)
            raise
        seen = await observation.observe_all(self.walk.driver, self.walk.services)
        left = [f"{step.name}: {step.detail}" for step in self.walk.steps.failed]
        left += [
            f"{name}: {observation.said(seen[name])}" for name in self.walk.services if self._is_missing(seen, name)
        ]
        if left:
            outages = await look(*self._servers())
            self.held = any(not outage.row.rollback_mends for outage in outages)
            left = [*(outage.line() for outage in outages), *left]
        if self.budget.left < 0:
            self.walk.note(f"the budget of 15 minutes was overrun by {minutes(-self.budget.left)}")
        if not left:  # while the run isn't over, so that what it left stays for the incident note
            make_good(self.walk.home, self.walk.driver, self.target, self.walk.steps.say)
        code = ExitCode.ROLLBACK_INCOMPLETE if left else ExitCode.ROLLED_BACK
        self.walk.end(code, "incomplete" if left else "rolled back")
        self.walk.tell(seen, self.target)
        for line in left:
            self.walk.steps.say(f"LEFT TO DO: {line}")
        return code

    def _servers(self) -> tuple[str | None, str | None]:
        return servers_of(self.target)

    def _is_missing(self, seen: observation.Seen, service: str) -> bool:
        said = any(step.name.startswith(f"{service} ") for step in self.walk.steps.failed)
        return not said and not observation.is_up(seen[service], self.target)

    def _aimed(self, known: Deployed) -> Deployed:
        if self.leaving is not None and self.leaving.id != self.target.id:
            known = known.doubted(self.leaving.id)
        return known.aiming_at(self.target.id)

    async def _walk(self) -> None:
        seen = await observation.observe_all(self.walk.driver, self.walk.services)
        revision = self.leaving.tag if self.leaving else None
        await self._step(
            "stop worker",
            "stop new worker",
            lambda: self.walk.take_away("stop worker", "worker", self.target, revision),
            1,
            "stopped",
        )
        for service in self.walk.services:
            await self._step(
                service,
                f"{service} {observation.name_of(seen[service])} → {self.target.tag}",
                partial(self.walk.give, service, self.target, "revert"),
                3,
                "healthy",
            )
        await self.walk.stop_others(self.gone, self.target)
        await self.walk.look_at_waiting(self.target)
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
        return await self.walk.again("verify", f"verify {self.target.tag}", lambda: self.verify(self.target))


def roll_back(
    site: Site, request: RollbackRequest, verify: Verify, confirm: Callable[[str], None]
) -> tuple[ExitCode, Run]:
    """Under the lock; the code is 20 or 21.

    verify: of a release that is kept here; CheckFailed says what is wrong with it.
    confirm: gets the question; raises Refused unless it is confirmed.

    Refused with 2 when there is nothing to roll back to, 30 while somebody else is at it, 31 beside a run that was
    killed, 130 after a Ctrl-C.
    """
    site.home.forgive(site.reporter.say)
    with site.alone("rollback"):
        target = target_of(site.home, request.to)
        before = unfinished.stopped(site.home)
        tell(site, target)
        confirm(f"Roll {site.environment.name} back to {target.tag}?")
        run = _begin(site, target, request.first_failed_at)
        if before is not None:
            unfinished.supersede(site.home, before, site.environment.masker)
        return walk_rollback(site, run, target, verify), run


def walk_rollback(site: Site, run: Run, target: Release, verify: Verify) -> ExitCode:
    """Begin it, or go on with it. Timed from its begin, also when it is resumed, and from the first failed probe.

    The lock is held.
    """
    triggered, first_failed = _moment(run.started_at), unix(run.first_failed_at)
    services = site.services_of(target)
    order = ["stop worker", *services, "verify"]
    budget = Budget(triggered if first_failed is None else first_failed, time.time, order)
    site.home.forgive(site.reporter.say)
    site.reporter.say(f"rollback to {target.tag} of {site.environment.name}, {run.id}:")
    site.reporter.say(f"      {budget.line()}")
    gone = site.others_than(services)
    walk = site.walk(run, len(order) + len(gone), services)
    leaving = site.home.kept.find(run.previous) if run.previous else None
    note = RollbackNote(site.home, run, target, leaving, Path.cwd(), site.environment.masker)
    _note(site, note.begin)
    work = Rollback(walk, target, leaving, verify, budget, gone=gone)
    code = site.conduct(work.run())
    walk.journal.bring_home(site.home.runs.folder(run.id))
    _note_losses(site, run, target)
    is_good = code is ExitCode.ROLLED_BACK
    _note(site, lambda: note.end("verified" if is_good else "incomplete"))
    took = f"{minutes(time.time() - triggered)} since the trigger"
    if first_failed is not None:
        took += f", {minutes(time.time() - first_failed)} since the first failed probe"
    what = f"rolled back to {target.tag} and verified" if is_good else "rollback INCOMPLETE"
    site.reporter.say(f"{what}, {took}")
    if work.held:
        site.reporter.say("next: uniassist doctor")
        site.reporter.say("safe: mend the server that is named first, then: uniassist release resume")
    elif not is_good:
        site.reporter.say("next: uniassist release resume")
    return code


def rehearse(site: Site, to: str | None) -> None:
    """All that comes before a rollback's question: refused or told as that would be."""
    unfinished.stopped(site.home)
    tell(site, target_of(site.home, to))


def tell(site: Site, target: Release) -> None:
    """What would be put back, and what runs now."""
    site.reporter.began("looking at what runs…")
    seen = asyncio.run(observation.observe_all(site.driver, site.services))
    site.reporter.say(f"rollback target: {target.tag} (env {target.env_digest[:8]}); now:")
    for line in observation.lines(seen):
        site.reporter.say(f"  {line}")
    for outage in asyncio.run(look(*servers_of(target))):
        for part in wrapped(outage.line()):
            site.reporter.say(part)


def servers_of(release: Release) -> tuple[str | None, str | None]:
    """Postgres and Redis of its env set, by URL."""
    env = env_of(release)
    return env.get("DATABASE_URL") or None, env.get("REDIS_URL") or None


def unix(text: str | None) -> float | None:
    """The time as Unix seconds. UsageRefused when it is none."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageRefused("--first-failed-at: expected a time such as 2026-11-24T07:00:00Z")
    return moment.timestamp()


def _moment(text: str) -> float:
    """Unix seconds of one of our own times; never in the future, whatever became of the clock since."""
    return min(time.time(), datetime.fromisoformat(text).timestamp())


def _note(site: Site, write: Callable[[], Incident]) -> None:
    """A note that can't be written is said, and holds nothing up."""
    try:
        noted = write()
    except StartError as error:
        site.reporter.say(f"NO incident note: {error}")
        return
    if noted.facts.outcome != "under way" and noted.is_open:
        site.reporter.say("the incident is open until a person names its cause")
        site.reporter.say(f"next: uniassist release incident close {noted.facts.run}")


def _begin(site: Site, target: Release, first_failed_at: str | None) -> Run:
    leaving = site.home.kept.find(site.home.deployed().current or "nothing")
    facts = {
        "environment": site.environment.name,
        "driver": site.driver.name,
        "target": target.id,
        "who": who(),
        "why": site.environment.masker.mask(site.because),
        "previous": leaving.id if leaving else None,
        "previous_tag": leaving.tag if leaving else None,
        "first_failed_at": first_failed_at,
    }
    try:
        return site.home.runs.begin("rollback", target.tag, **facts)
    except StartError as error:
        site.home.forgive(site.reporter.say).lose(error)
        return site.home.runs.unwritten("rollback", target.tag, **facts)


def _note_losses(site: Site, run: Run, target: Release) -> None:
    """What isn't recorded stands where its evidence looks for it."""
    forgiving = site.home.forgiving
    if forgiving is None or not forgiving.lost:
        return
    said = forgiving.summary()
    site.home.change(lambda known: known.without_record(run.previous, target.id, said))
    site.reporter.say(f"the evidence of this rollback is INCOMPLETE: {said}")
