"""`uniassist release rollout`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.on_a_site import RehearsedOptions, taking
from uniassist.cli.release.options import Rev
from uniassist.cli.release.screen import ended_with
from uniassist.release.exit_codes import ExitCode
from uniassist.release.rollout.intended import rehearse
from uniassist.release.rollout.rollout import roll_out


@taking(RehearsedOptions)
def run(given: RehearsedOptions, rev: Rev = None) -> None:
    """Expanding migrations, then provider-plan, adapter-wechat, gateway, worker, each healthy before the next.

    Needs a tag that preflight found ready and the gate found green with this env set. Stops at the first failure.
    Exit codes: 0 done, 2 consent missing, 10 not ready, 11 no green gate, 12 a step stopped, 30 locked, 31 an
    unfinished run is there, 32 the plan is stale, something drifted or a port is taken, 130 interrupted.
    """
    with given.opened() as (screen, site):
        if given.dry_run:
            rehearse(site, Path.cwd(), rev)
            return
        code, ran = roll_out(site, Path.cwd(), rev, given.asking(screen))
        if code is ExitCode.DONE:
            screen.say(f"{ran.target_tag} is rolled out, and not verified yet")
            screen.say(f"next: uniassist release verify --rev {ran.target_tag}")
        screen.end_of(site, "release rollout", ran, code)
    raise ended_with(code)
