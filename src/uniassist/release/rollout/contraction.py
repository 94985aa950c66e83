"""Migrations that take something away from older code: run by themselves, once nothing older is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.records.room import require_room
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.rollout import candidate, release_migrations
from uniassist.release.rollout.candidate import ReleaseCandidate
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.site import Site


def contract(site: Site, here: Path, rev: str | None, confirm: Callable[[str], None]) -> tuple[ExitCode, str]:
    """0 or 12, with what the migrations said.

    here: in the checkout.
    confirm: gets the question; raises Refused unless it is confirmed.

    Refused as `rehearse` says, and with 30 while somebody else is at it.
    """
    require_room(site.home.directory, 128, temporary=True)
    with site.alone(f"contracting migrations of {rev}"):
        found = rehearse(site, here, rev)
        confirm(f"Take this away from {site.environment.name}, for good?")
        site.reporter.began("building…")
        release = candidate.build(found, site.home)
        # Before, and not after: a rollback target that can't run any more is worse than none.
        site.home.change(lambda known: known.only_current_is_good())
        try:
            site.reporter.began("making it ready, and migrating…")
            asyncio.run(site.driver.prepare(release))
            return ExitCode.DONE, site.conduct(release_migrations.migrate(site.driver, release, "--contract"))
        except (CheckFailed, DriverFailed) as error:
            return ExitCode.ROLLOUT, str(error)


def rehearse(site: Site, here: Path, rev: str | None) -> ReleaseCandidate:
    """What would be taken away, told. Refused with 2, 10, 31 or 32 unless it is safe, as far as can be seen now."""
    found = _found(site, here, rev)
    for step in found.pending:
        site.reporter.say(f"pending: {step.name} ({step.kind})")
    site.reporter.say("nothing older than what runs can be rolled back to afterwards")
    return found


def _found(site: Site, here: Path, rev: str | None) -> ReleaseCandidate:
    if rev is None:
        raise UsageRefused("--rev: which tag has the migrations?")
    home = site.home
    unfinished.refuse_rollout(home)
    found = candidate.find(here, rev, site.environment.env_set, site.records, home)
    if not any(step.kind == "contract" for step in found.pending):
        raise UsageRefused(f"no contracting migration of {rev} is pending")
    known = home.deployed()
    current = home.kept.find(known.current or "nothing")
    if current is None or current.id not in {verified.release for verified in known.verified}:
        raise Refused(ExitCode.PREFLIGHT, "what runs isn't verified\n      next: uniassist release status")
    seen = asyncio.run(observation.observe_all(site.driver, site.services))
    if wrong := [
        line
        for name, line in zip(seen, observation.lines(seen), strict=True)
        if not observation.is_up(seen[name], current)
    ]:
        raise Refused(ExitCode.STALE, "\n      ".join([f"not all runs as {current.tag}:", *wrong]))
    return found
