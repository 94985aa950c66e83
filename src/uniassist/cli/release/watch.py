"""`uniassist release watch`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from uniassist.cli.release.options import DryRun, Env, EnvFile, Json, Rev, StateDir, records_in
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.env.environment import Environment
from uniassist.release.watch import credentials
from uniassist.release.watch.directory import WatchDirectory
from uniassist.release.watch.following import rehearse, start_and_follow
from uniassist.release.watch.order import WatchOptions, order_of

PROGRAM = (sys.executable, "-m", "uniassist.cli.release.watch_process")


def run(
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 15m, 1h.")] = "15m",
    on_trigger: Annotated[
        str, typer.Option("--on-trigger", help="rollback, or hold: alert, and leave it to a person.")
    ] = "rollback",
    rev: Rev = None,
    thresholds: Annotated[
        Path | None,
        typer.Option("--thresholds", metavar="FILE", help="Default: ops/deploy/<env>/thresholds.toml."),
    ] = None,
    rolled_out_at: Annotated[
        str | None,
        typer.Option("--rolled-out-at", metavar="TIME", help="The hour before is the baseline of the rates."),
    ] = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: Annotated[str, typer.Option("--driver", help="For the rollback: local, exec or manual.")] = "local",
    driver_file: Annotated[
        Path | None, typer.Option("--driver-file", metavar="FILE", help="For the rollback: exec's commands.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """After a rollout: rolls back by itself when a trigger fires.

    Triggers: a service's health fails for 3 minutes; conformance, smoke and verify by URL fail twice in a row; dead
    letters or retries rise above the agreed threshold. An outage of Postgres or Redis, or no data, only alerts.

    It goes on when the terminal is closed; Ctrl-C ends it. Needs the URLs that verify needs. Exit codes: 0 quiet,
    20 rolled back and verified, 21 rollback incomplete, 22 a trigger fired and is held, 30 somebody watches
    already, 41 it couldn't judge at its end, 130 ended by a person.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        home = records_in(state_dir).directory
        options = WatchOptions(
            env, env_file, home, rev, duration, on_trigger, thresholds, rolled_out_at, driver, driver_file
        )
        order = order_of(options, environment)
        if dry_run:
            rehearse(order, screen)
            return
        asyncio.run(credentials.check(order.checks.subject))
        code = start_and_follow(PROGRAM, options, screen)
        state = WatchDirectory(home, env).look().state
        screen.document(msgspec.to_builtins(state) if state is not None else {})
    raise ended_with(code)
