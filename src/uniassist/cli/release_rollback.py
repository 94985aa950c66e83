"""`uniassist release rollback`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.release_context import Because, Context, HealthyWithin, Yes, ask, refuse_without_consent
from uniassist.cli.release_driver import DriverFile, DriverName
from uniassist.cli.release_environment import DryRun, Env, EnvFile, Environment, Json, StateDir, ended_with, ending
from uniassist.errors import StartError
from uniassist.release import observation, unfinished
from uniassist.release.budget import Budget, clock_time
from uniassist.release.drivers.driver import Release
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.home import Home
from uniassist.release.incident import Incident
from uniassist.release.incident_run import Note
from uniassist.release.lock import locked, who
from uniassist.release.rollback import ORDER, STEPS, Rollback
from uniassist.release.runs import Run
from uniassist.release.walk import HEALTHY_SECONDS

To = Annotated[
    str | None,
    typer.Option("--to", metavar="TAG", help="Default: the last revision that was verified before this one."),
]
FirstFailed = Annotated[
    str | None,
    typer.Option("--first-failed-at", metavar="TIME", help="When the first probe failed, UTC; the watch gives it."),
]


def run(
    to: To = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    because: Because = "",
    healthy_within: HealthyWithin = HEALTHY_SECONDS,
    first_failed_at: FirstFailed = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop new workers, put back the revision and its env set in rollout order, verify. Needs no git, no network.

    It does what it can and doesn't stop at a failure. Exit codes: 2 consent missing or nothing to roll back to, 20
    rolled back and verified, 21 incomplete (with what is left to do), 30 locked, 31 a run was killed, 130
    interrupted.
    """
    with ending():
        refuse_without_consent(yes, dry_run)
        began = unix(first_failed_at)
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file, because, healthy_within)
        _refuse_another_driver(context)
        if dry_run:
            unfinished.stopped(context.home)
            _tell(context, target_of(context.home, to))
            return
        with locked(context.home.lock, because or "rollback"):
            target = target_of(context.home, to)
            before = unfinished.stopped(context.home)
            _tell(context, target)
            ask(f"Roll {environment.name} back to {target.tag}?", yes)
            ran = _begin(context, target, first_failed_at)
            if before is not None:
                unfinished.supersede(context.home, before, environment.mask)
            code = conduct(context, ran, target, began)
        context.ended("release rollback", ran, code)
    raise ended_with(code)


def conduct(context: Context, ran: Run, target: Release, first_failed: float | None) -> ExitCode:
    """Begin it, or go on with it. Timed from the first failed probe, and from now on."""
    triggered = time.time()
    budget = Budget(triggered if first_failed is None else first_failed, time.time, ORDER)
    context.screen.say(f"rollback to {target.tag} of {context.environment.name}, {ran.id}: {budget.line()}")
    walk = context.walk(ran, STEPS)
    if walk.journal.entries:
        walk.note(f"resumed by {who()}")
    leaving = context.home.kept.find(ran.previous) if ran.previous else None
    note = Note(context.home, ran, target, leaving, Path.cwd(), context.environment.mask)
    _noted(context, note.begin)
    code = context.conduct(Rollback(walk, target, leaving, lambda: context.verify(target), budget).run())
    _noted(context, lambda: note.end("verified" if code is ExitCode.ROLLED_BACK else "incomplete"))
    took = f"{clock_time(time.time() - triggered)} since the trigger"
    if first_failed is not None:
        took += f", {clock_time(time.time() - first_failed)} since the first failed probe"
    what = f"rolled back to {target.tag} and verified" if code is ExitCode.ROLLED_BACK else "rollback INCOMPLETE"
    context.screen.say(f"{what}, {took}")
    if code is not ExitCode.ROLLED_BACK:
        context.screen.say("next: uniassist release resume")
    return code


def _refuse_another_driver(context: Context) -> None:
    """The default would start services on this machine, while those to roll back run elsewhere."""
    last = context.home.runs.last(context.environment.name)
    if last is not None and last.driver != context.driver.name:
        file = " and its --driver-file" if last.driver == "exec" else ""
        raise UsageRefused(
            f"--driver: {context.environment.name} was last released with {last.driver} ({last.id}), "
            f"not with {context.driver.name}: give --driver {last.driver}{file}"
        )


def _noted(context: Context, write: Callable[[], Incident]) -> None:
    """A note that can't be written is said, and holds nothing up."""
    try:
        noted = write()
    except StartError as error:
        context.screen.say(f"NO incident note: {error}")
        return
    if noted.facts.outcome != "under way" and noted.is_open:
        context.screen.say(f'incident open: uniassist release incident close {noted.facts.run} --cause "…"')


def target_of(home: Home, to: str | None) -> Release:
    """What `--to` names, or the release to roll back to. UsageRefused when there is none."""
    if to is not None:
        return _kept(home, to)
    last = unfinished.find(home)
    if last is not None and last[0].kind == "rollback":
        return home.kept.get(last[0].target)
    known = home.deployed()
    found = known.rollback_target(known.current)
    if found is None:
        kept = ", ".join(release.tag for release in home.kept.all()) or "nothing"
        raise UsageRefused(f"nothing was verified before: there is nothing to roll back to; kept (--to): {kept}")
    return home.kept.get(found)


def _kept(home: Home, name: str) -> Release:
    """By tag or id; of several env sets of a tag the one that was verified last, else the one put in place last."""
    found = [release for release in home.kept.all() if name in (release.tag, release.id)]
    if not found:
        kept = ", ".join(release.tag for release in home.kept.all()) or "nothing"
        raise UsageRefused(f"--to {name}: isn't kept here; kept: {kept}")
    known = home.deployed()
    order = [verified.release for verified in known.verified]
    return max(found, key=lambda release: (order.index(release.id) if release.id in order else -1, release.id))


def _tell(context: Context, target: Release) -> None:
    seen = asyncio.run(observation.observe_all(context.driver))
    context.screen.say(f"rollback target: {target.tag} (env {target.env_digest[:8]}); now:")
    for line in observation.lines(seen):
        context.screen.say(f"  {line}")


def _begin(context: Context, target: Release, first_failed_at: str | None) -> Run:
    leaving = context.home.kept.find(context.home.deployed().current or "nothing")
    return context.home.runs.begin(
        "rollback",
        target.tag,
        environment=context.environment.name,
        driver=context.driver.name,
        target=target.id,
        who=who(),
        why=context.environment.mask(context.because),
        previous=leaving.id if leaving else None,
        previous_tag=leaving.tag if leaving else None,
        first_failed_at=first_failed_at,
    )


def unix(text: str | None) -> float | None:
    """UsageRefused when it is no time."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageRefused("--first-failed-at: expected a time such as 2026-11-24T07:00:00Z")
    return moment.timestamp()
