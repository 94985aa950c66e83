"""`uniassist release run`: the runbook from its first line to its last."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli import release_rollout
from uniassist.cli.release_context import Because, Context, HealthyWithin, Yes, ask, refuse_without_consent
from uniassist.cli.release_driver import DriverFile, DriverName
from uniassist.cli.release_environment import (
    DryRun,
    Env,
    EnvFile,
    Environment,
    Json,
    Rev,
    StateDir,
    ended_with,
    ending,
)
from uniassist.cli.release_watch import start_and_follow
from uniassist.cli.release_watch_order import Options, order_of
from uniassist.release import unfinished
from uniassist.release.checklist import CheckFailed
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.lock import locked
from uniassist.release.steps import now, wrapped
from uniassist.release.walk import HEALTHY_SECONDS


@dataclass(frozen=True)
class ToWatch:
    """What a watch is told about the rollout that it follows."""

    context: Context
    rev: str
    rolled_out_at: str
    duration: str
    env_file: Path | None
    driver_file: Path | None


Watch = Callable[[ToWatch], ExitCode]


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    because: Because = "",
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it is watched.")] = "15m",
    healthy_within: HealthyWithin = HEALTHY_SECONDS,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """preflight, gate, rollout, verify, watch: stops at the first that isn't well, and ends with its code."""
    with ending():
        refuse_without_consent(yes, dry_run)
        if rev is None:
            raise UsageRefused("--rev: which tag?")
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file, because, healthy_within)
        if dry_run:
            context.screen.say(f"would run preflight, gate, rollout, verify and watch of {rev}")
            return
        unfinished.refuse_rollout(context.home)
        refuse_unwatchable(ToWatch(context, rev, now(), duration, env_file, driver_file))
        ask(f"Release {rev} to {context.environment.name}?", yes)
        code = run_all(context, rev, duration, env_file, driver_file, watch_rollout)
        context.ended("release run", context.home.runs.last(environment.name), code, revision=rev)
    raise ended_with(code)


def run_all(
    context: Context, rev: str, duration: str, env_file: Path | None, driver_file: Path | None, watch: Watch
) -> ExitCode:
    """`watch` follows the rollout, without the lock: its rollback takes it."""
    for command in ("preflight", "gate"):
        if (code := _command(context, command, rev, env_file)) is not ExitCode.DONE:
            return code
    code, ran = release_rollout.roll_out(context, rev, yes=True)
    if code is not ExitCode.DONE:
        return code
    release = context.home.kept.get(ran.target)
    context.screen.began("verifying…")
    try:
        said = context.conduct(context.verify(release))
    except CheckFailed as error:
        context.screen.say(f"{release.tag} is NOT verified:")
        for line in str(error).splitlines():
            for part in wrapped(line):
                context.screen.say(part)
        context.screen.say("next: uniassist release rollback")
        return ExitCode.VERIFY
    with locked(context.home.lock, f"notes that {rev} is verified"):
        context.home.change(lambda known: known.proved(release.id))
        context.prune()
    context.screen.say(f"{release.tag} is verified; {said}")
    return watch(ToWatch(context, rev, ran.started_at, duration, env_file, driver_file))


def watch_rollout(told: ToWatch) -> ExitCode:
    """Rolls back on a trigger; the hour before the rollout is the baseline."""
    return start_and_follow(_options(told), told.context.screen)


def refuse_unwatchable(told: ToWatch) -> None:
    """Before anything is released: what the watch needs and lacks, thresholds for one."""
    order_of(_options(told), told.context.environment)


def _options(told: ToWatch) -> Options:
    context = told.context
    return Options(
        environment=context.environment.name,
        env_file=told.env_file,
        home=context.home.directory,
        revision=told.rev,
        duration=told.duration,
        on_trigger="rollback",
        thresholds=None,
        rolled_out_at=told.rolled_out_at,
        driver=context.driver.name,
        driver_file=told.driver_file,
    )


def _command(context: Context, command: str, rev: str, env_file: Path | None) -> ExitCode:
    """A command of ours as an operator runs it, with its own record; its lines go where ours go."""
    arguments = ["--rev", rev, "--env", context.environment.name, "--state-dir", str(context.home.directory)]
    arguments += ["--env-file", str(env_file)] if env_file else []
    out = sys.stderr if context.screen.as_json else sys.stdout
    done = subprocess.run(
        [sys.executable, "-m", "uniassist.cli.main", "release", command, *arguments], stdout=out, check=False
    )
    return ExitCode(done.returncode)
