"""`uniassist release gate`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.options import DryRun, Env, EnvFile, Json, Rev, StateDir, records_in
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.env.environment import Environment
from uniassist.release.gate.gate import rehearse, run_gate


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Before a rollout: types, conformance and the end-to-end smoke, on an export of the revision.

    Needs DATABASE_URL and REDIS_URL; uses a database and stream names of its own there. Without --rev it tests
    the working tree. Exit codes: 0 green, 2 a variable is missing, 10 a server or the revision is out of reach,
    11 a check failed.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        if dry_run:
            rehearse(environment, screen)
            return
        document = run_gate(environment, Path.cwd(), rev, records_in(state_dir), screen)
        screen.document(document)
    raise ended_with(document["exitCode"])
