"""`uniassist release status`."""

from __future__ import annotations

import asyncio

from uniassist.cli.release_context import Context
from uniassist.cli.release_driver import DriverFile, DriverName
from uniassist.cli.release_environment import Env, EnvFile, Environment, Json, StateDir, ending
from uniassist.release import status
from uniassist.release.home import Home
from uniassist.release.watch.directory import who_watches


def run(
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    as_json: Json = False,
) -> None:
    """What runs, what is good, where one would roll back to, who watches, who is at it. Changes nothing."""
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file)
        found = asyncio.run(status.look(context.home, context.driver, _watcher))
        for line in found.lines():
            context.screen.say(line)
        context.screen.document(found.document())


def _watcher(home: Home) -> str:
    return who_watches(home.directory, home.environment).sentence()
