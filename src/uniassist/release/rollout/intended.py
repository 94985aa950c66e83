"""What a rollout would do, as it is seen now, and every reason to refuse it. Changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.records.kept_releases import env_of
from uniassist.release.records.room import require_room
from uniassist.release.report.steps import wrapped
from uniassist.release.rollout import candidate, plan
from uniassist.release.rollout.candidate import ReleaseCandidate
from uniassist.release.rollout.plan import RolloutPlan
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.observation import Seen
from uniassist.release.walk.site import Site


@dataclass(frozen=True)
class Intended:
    """What would be rolled out, what was seen when it was decided, and the plan that follows from both.

    in_the_way: who holds a port that it needs.
    """

    candidate: ReleaseCandidate
    seen: Seen
    plan: RolloutPlan
    in_the_way: tuple[str, ...] = ()


def intend(site: Site, here: Path, rev: str | None) -> Intended:
    """What git, the records and the observation say now. `here`: in the checkout. Refused with 2 or 10."""
    if rev is None:
        raise UsageRefused("--rev: which tag?")
    site.reporter.began("looking at the revision, the records and what runs…")
    found = candidate.find(here, rev, site.environment.env_set, site.records, site.home)
    seen = asyncio.run(observation.observe_all(site.driver, site.services))
    current = site.home.kept.find(site.home.deployed().current or "nothing")
    names = plan.differing_names(env_of(current) if current else None, found.env.deployed)
    migrations = [step.name for step in found.pending]
    blocked = tuple(asyncio.run(site.driver.in_the_way(found.env.deployed)))
    return Intended(found, seen, plan.make(found.release, seen, migrations, names), blocked)


def refuse(site: Site, found: Intended) -> None:
    """Refused with 31, 11, 10 or 32, in the order in which an operator would mend it."""
    unfinished.refuse_rollout(site.home)
    candidate.refuse_without_gate(found.candidate, site.records)
    candidate.refuse_contraction(found.candidate)
    _refuse_what_is_in_the_way(found)
    _refuse_drift(site, found)
    _refuse_stale_plan(site, found)


def tell(site: Site, found: Intended) -> None:
    """What would change, a line each."""
    say = site.reporter.say
    say(f"{found.plan.tag} (commit {found.plan.commit[:12]}, env {found.plan.env_digest[:8]}), seen now:")
    for line in found.plan.lines():
        for part in wrapped(f"  {line}"):
            say(part)
    for line in found.in_the_way:
        for part in wrapped(f"IN THE WAY: {line}"):
            say(part)


def make_plan(site: Site, here: Path, rev: str | None) -> RolloutPlan:
    """Kept and told: a rollout of the same revision is refused when the environment has changed since."""
    require_room(site.home.directory, 1)
    found = intend(site, here, rev)
    plan.write(site.home.plan, found.plan)
    tell(site, found)
    site.reporter.say(f"next: uniassist release rollout --rev {found.plan.tag}")
    return found.plan


def rehearse(site: Site, here: Path, rev: str | None) -> None:
    """All that comes before a rollout's question: refused or told as that would be."""
    found = intend(site, here, rev)
    refuse(site, found)
    tell(site, found)


def _refuse_drift(site: Site, found: Intended) -> None:
    known = site.home.deployed()
    drifted = observation.drift(found.seen, known, site.home.kept)
    if not drifted:
        return
    text = "\n      ".join(drifted)
    current = site.home.kept.find(known.current or "nothing")
    back = f"next: uniassist release rollback --to {current.tag}" if current else "next: uniassist release status"
    raise Refused(
        ExitCode.STALE,
        f"somebody else changed it:\n      {text}\n      {back}\n      safe: ask who did, and why",
    )


def _refuse_what_is_in_the_way(found: Intended) -> None:
    """Now, and not after half a minute of building."""
    if found.in_the_way:
        text = "\n      ".join(found.in_the_way)
        raise Refused(
            ExitCode.STALE, f"{text}\n      safe: stop what is there, or move the port; nothing was touched"
        )


def _refuse_stale_plan(site: Site, found: Intended) -> None:
    made = plan.read(site.home.plan)
    if made is not None and made.tag == found.plan.tag and (stale := plan.staleness(made, found.plan)):
        text = "\n      ".join(stale)
        again = f"next: uniassist release plan --rev {made.tag}"
        raise Refused(ExitCode.STALE, f"the plan of {made.made_at} is stale:\n      {text}\n      {again}")
