"""`uniassist release run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.release.on_a_site import RehearsedOptions, taking
from uniassist.cli.release.options import Rev
from uniassist.cli.release.screen import ended_with, ending
from uniassist.cli.release.watch import PROGRAM
from uniassist.release.clock import now
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.gate.gate import refuse_without_mypy
from uniassist.release.rollout.whole_release import release
from uniassist.release.walk import unfinished
from uniassist.release.walk.verified import KeptVerification
from uniassist.release.watch.following import start_and_follow
from uniassist.release.watch.order import WatchOptions, order_of


@taking(RehearsedOptions)
def run(
    given: RehearsedOptions,
    rev: Rev = None,
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it is watched.")] = "15m",
) -> None:
    """preflight, gate, rollout, verify, watch: stops at the first that isn't well, and ends with its code."""
    with ending():
        given.refuse()
        if rev is None:
            raise UsageRefused("--rev: which tag?")
    with given.opened() as (screen, site):
        if given.dry_run:
            screen.say(f"would run preflight, gate, rollout, verify and watch of {rev}")
            return

        def watched(rolled_out_at: str) -> WatchOptions:
            home, how = site.home.directory, (given.driver, given.driver_file)
            return WatchOptions(
                given.env, given.env_file, home, rev, duration, "rollback", None, rolled_out_at, *how
            )

        def watch(rolled_out_at: str) -> ExitCode:
            return start_and_follow(PROGRAM, watched(rolled_out_at), screen)

        unfinished.refuse_rollout(site.home)
        # Before anything is begun: what the gate and the watch need and lack.
        refuse_without_mypy()
        order_of(watched(now()), site.environment)
        given.asking(screen)(f"Release {rev} to {site.environment.name}?")
        code = release(site, Path.cwd(), rev, KeptVerification.at(site).verify, watch)
        screen.end_of(site, "release run", site.home.runs.last(site.environment.name), code, revision=rev)
    raise ended_with(code)
