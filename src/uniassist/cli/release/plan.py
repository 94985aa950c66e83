"""`uniassist release plan`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.on_a_site import SiteOptions, taking
from uniassist.cli.release.options import Rev
from uniassist.release.rollout.intended import make_plan
from uniassist.release.rollout.plan import builtins


@taking(SiteOptions)
def run(given: SiteOptions, rev: Rev = None) -> None:
    """What a rollout would change for each service, from what is observed now. Changes nothing.

    The plan is kept: a rollout of the same revision is refused (32) when the environment has changed since.
    """
    with given.opened() as (screen, site):
        made = make_plan(site, Path.cwd(), rev)
        screen.document({"command": "release plan", "plan": builtins(made)})
