"""A rollout: the new revision made ready, its expanding migrations, then the services in the runbook's order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from uniassist.release.checks.database_identity import database_of
from uniassist.release.checks.outages import Suspects
from uniassist.release.env.services import place_of
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import to_the_end
from uniassist.release.records.kept_releases import Release, env_of
from uniassist.release.records.lock import who
from uniassist.release.records.room import require_room
from uniassist.release.records.runs import Run
from uniassist.release.report.steps import Advice, Wording
from uniassist.release.rollout import candidate, intended, plan, release_migrations
from uniassist.release.walk import observation
from uniassist.release.walk.site import Site
from uniassist.release.walk.walk import ADVICE, SECTION, VERB_SECONDS, Walk

PREPARE_SECONDS = 1200.0
ROOM_MB = 128


@dataclass
class Rollout:
    """The walk of one.

    migrate: runs the release's own expanding migrations; answers what it did.
    before: revisions by service, as they were seen at the start.
    suspects: the servers that it uses.
    gone: services of the release before that aren't of this one.
    """

    walk: Walk
    target: Release
    migrate: Callable[[], Awaitable[str]]
    before: dict[str, str] = field(default_factory=dict)
    suspects: Suspects = field(default_factory=lambda: Suspects(None, None))
    gone: tuple[str, ...] = ()

    async def run(self) -> ExitCode:
        """Also of one that was begun before: what is done is looked at and left. Stops at the first failure."""
        self.walk.home.change(lambda known: known.aiming_at(self.target.id))
        try:
            done = await self._walk()
        except asyncio.CancelledError:
            await to_the_end(self.walk.interrupted, self.target)
            raise
        seen = await observation.observe_all(self.walk.driver, self.walk.services)
        code = ExitCode.DONE if done else ExitCode.ROLLOUT
        self.walk.end(code, "done" if done else "stopped")
        self.walk.tell(seen, self.target)
        return code

    async def _walk(self) -> bool:
        seen = await observation.observe_all(self.walk.driver, self.walk.services)
        self.before |= {name: observation.name_of(observed) for name, observed in seen.items()}
        ready = await self._before("prepare", self._prepare) and await self._before("migrations", self._migrate)
        for service in self.walk.services:
            if not ready:
                why = "the rollout stops at the first failure"
                self.walk.steps.not_run(self._title(service), why, runbook=f"{SECTION} {place_of(service)}")
                continue
            ready = await self.walk.steps.run(
                self._title(service),
                partial(self._given, service),
                runbook=f"{SECTION} {place_of(service)}",
                deadline_seconds=VERB_SECONDS + self.walk.healthy_seconds,
                advice=self.suspects.advice(ADVICE),
                wording=Wording("healthy"),
            )
        ready = ready and await self.walk.stop_others(self.gone, self.target)
        return ready and await self.walk.look_at_waiting(self.target)

    async def _before(self, name: str, work: Callable[[], Awaitable[str]]) -> bool:
        return await self.walk.steps.before(
            name,
            work,
            runbook=SECTION,
            deadline_seconds=VERB_SECONDS + PREPARE_SECONDS,
            advice=Advice("uniassist release resume", "no service was touched; leave it: uniassist release abort"),
        )

    async def _prepare(self) -> str:
        """Before anything stops: afterwards no network is needed."""
        what = f"make {self.target.id} ready"
        return await self.walk.once("prepare", what, lambda: self.walk.driver.prepare(self.target))

    async def _migrate(self) -> str:
        return await self.walk.once("migrations", f"expanding migrations of {self.target.tag}", self.migrate)

    async def _given(self, service: str) -> str:
        return await self.suspects.named(lambda: self.walk.give(service, self.target, "deploy"))

    def _title(self, service: str) -> str:
        return f"{service} {self.before.get(service, '?')} → {self.target.tag}"


def roll_out(site: Site, here: Path, rev: str | None, confirm: Callable[[str], None]) -> tuple[ExitCode, Run]:
    """Under the lock, from the first look to the last; the code is 0 or 12.

    here: in the checkout.
    confirm: gets the question; raises Refused unless it is confirmed.

    Refused as `intended.refuse` says, with 30 while somebody else is at it, with 130 after a Ctrl-C.
    """
    require_room(site.home.directory, ROOM_MB, temporary=True)
    with site.alone(f"rollout of {rev}"):
        found = intended.intend(site, here, rev)
        intended.refuse(site, found)
        intended.tell(site, found)
        confirm(f"Roll out {found.plan.tag} to {site.environment.name}?")
        site.reporter.began("building…")
        release = candidate.build(found.candidate, site.home)
        if (made := plan.read(site.home.plan)) is not None and made.tag == release.tag:
            site.home.plan.unlink()  # it is carried out
        run = _begin(site, release)
        return walk_rollout(site, run, release), run


def walk_rollout(site: Site, run: Run, release: Release) -> ExitCode:
    """Begin it, or go on with it. The lock is held."""
    site.reporter.say(f"rollout of {release.tag} to {site.environment.name}, {run.id}")
    services, suspects = site.services_of(release), Suspects.of(env_of(release))
    gone = site.others_than(services)
    walk = site.walk(run, len(services) + len(gone), services)
    work = Rollout(
        walk, release, lambda: release_migrations.migrate(site.driver, release), suspects=suspects, gone=gone
    )
    return site.conduct(work.run())


def _begin(site: Site, release: Release) -> Run:
    previous = site.home.kept.find(site.home.deployed().rollback_target(release.id) or "nothing")
    return site.home.runs.begin(
        "rollout",
        release.tag,
        environment=site.environment.name,
        driver=site.driver.name,
        target=release.id,
        who=who(),
        why=site.environment.masker.mask(site.because),
        previous=previous.id if previous else None,
        previous_tag=previous.tag if previous else None,
        database=asyncio.run(database_of(site.environment.env_set.deployed.get("DATABASE_URL"))),
    )
