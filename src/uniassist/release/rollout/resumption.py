"""Going on with a run that was killed, interrupted or stopped, or closing it as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.records.runs import Run
from uniassist.release.rollback.rollback import Verify, walk_rollback
from uniassist.release.rollout.rollout import walk_rollout
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.site import Site


def resume(site: Site, verify: Verify, confirm: Callable[[str], None]) -> tuple[ExitCode, Run]:
    """It ends as the run itself would: 0 or 12 of a rollout, 20 or 21 of a rollback.

    verify: of a release that is kept here, for a rollback.
    confirm: gets the question; raises Refused unless it is confirmed.

    Refused with 2 when there is no such run, or it was begun with another driver.
    """
    with site.alone("resume"):
        run = _unfinished(site)
        if run.driver != site.driver.name:
            raise UsageRefused(f"--driver: {run.id} was begun with {run.driver}")
        release = site.home.kept.get(run.target)
        confirm(f"Go on with the {run.kind} to {release.tag} of {site.environment.name}?")
        if run.kind == "rollout":
            return walk_rollout(site, run, release), run
        return walk_rollback(site, run, release, verify), run


def abort(site: Site, confirm: Callable[[str], None]) -> Run:
    """Closed, without touching a service; what runs is looked at, told, and kept in its journal. Refused with 2."""
    with site.alone("abort"):
        run = _unfinished(site)
        site.reporter.began("looking at what runs…")
        seen = asyncio.run(observation.observe_all(site.driver, site.services))
        for line in observation.summary(seen, site.home.kept.get(run.target)):
            site.reporter.say(line)
        confirm(f"Close {run.id} like this?")
        unfinished.abort(site.home, run, seen, site.environment.masker)
    site.reporter.say(f"{run.id} is closed; no service was touched")
    site.reporter.say("next: uniassist release rollback")
    return run


def _unfinished(site: Site) -> Run:
    found = unfinished.find(site.home)
    if found is None:
        raise UsageRefused(f"there is no unfinished run on {site.environment.name}")
    site.reporter.say(unfinished.said(*found))
    return found[0]
