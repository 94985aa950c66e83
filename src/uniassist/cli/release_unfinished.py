"""`uniassist release resume | abort`."""

from __future__ import annotations

import asyncio

from uniassist.cli import release_rollback, release_rollout
from uniassist.cli.release_context import Context, HealthyWithin, Yes, ask, refuse_without_consent
from uniassist.cli.release_driver import DriverFile, DriverName
from uniassist.cli.release_environment import Env, EnvFile, Environment, Json, StateDir, ended_with, ending
from uniassist.release import observation, unfinished
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.lock import locked
from uniassist.release.rollout import words
from uniassist.release.runs import Progress, Run
from uniassist.release.walk import HEALTHY_SECONDS


def resume(
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    healthy_within: HealthyWithin = HEALTHY_SECONDS,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was killed, interrupted or stopped: it looks first, and does what isn't done.

    Ends as the run itself would: 0 or 12 of a rollout, 20 or 21 of a rollback; 2 when there is none.
    """
    with ending():
        refuse_without_consent(yes, False)
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file, healthy_seconds=healthy_within)
        with locked(context.home.lock, "resume"):
            run, _progress = _unfinished(context)
            _refuse_driver(run, context)
            release = context.home.kept.get(run.target)
            ask(f"Go on with the {run.kind} to {release.tag} of {environment.name}?", yes)
            if run.kind == "rollout":
                code = release_rollout.conduct(context, run, release)
            else:
                first_failed = release_rollback.unix(run.first_failed_at)
                code = release_rollback.conduct(context, run, release, first_failed)
        context.ended("release resume", run, code)
    raise ended_with(code)


def abort(
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Close an unfinished run as it is, without touching a service. What runs is looked at and kept in its journal.

    Exit codes: 0 closed, 2 there is none.
    """
    with ending():
        refuse_without_consent(yes, False)
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file)
        with locked(context.home.lock, "abort"):
            run, _progress = _unfinished(context)
            seen = asyncio.run(observation.observe_all(context.driver))
            for line in words(seen, context.home.kept.get(run.target)):
                context.screen.say(line)
            ask(f"Close {run.id} like this?", yes)
            unfinished.abort(context.home, run, seen, environment.mask)
        context.screen.say(f"{run.id} is closed; no service was touched")
        context.screen.say("next: uniassist release rollback")
        context.screen.document({"command": "release abort", "run": run.id, "exitCode": 0})


def _unfinished(context: Context) -> tuple[Run, Progress]:
    found = unfinished.find(context.home)
    if found is None:
        raise UsageRefused(f"there is no unfinished run on {context.environment.name}")
    context.screen.say(unfinished.said(*found))
    return found


def _refuse_driver(run: Run, context: Context) -> None:
    if run.driver != context.driver.name:
        raise UsageRefused(f"--driver: {run.id} was begun with {run.driver}")
