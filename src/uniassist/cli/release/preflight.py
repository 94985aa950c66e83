"""`uniassist release preflight`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.options import Env, EnvFile, Json, Rev, StateDir, records_in
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.env.environment import Environment
from uniassist.release.gate.preflight import run_preflight


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Before everything: the env set, Postgres, Redis, and a revision that can be built again to the byte.

    Changes nothing: what it writes to the servers is rolled back or deleted. Without --rev it takes the tag of the
    commit that is checked out. Exit codes: 0 ready, 10 a prerequisite is missing.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        document = run_preflight(environment, Path.cwd(), rev, records_in(state_dir), screen)
        screen.document(document)
    raise ended_with(document["exitCode"])
