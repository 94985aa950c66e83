"""`uniassist drill worker`: the runbook's worker reliability drill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.release.options import DryRun, Env, EnvFile, Json
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.drill.conducted import rehearse, run_drill
from uniassist.release.drill.target import mode_of
from uniassist.release.env.environment import Environment


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Drills: break it on purpose, see it recover.", no_args_is_help=True)
    group.callback()(lambda: None)  # so that the single command keeps its name
    group.command("worker", help=_worker.__doc__)(_worker)
    app.add_typer(group, name="drill")


def _worker(
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="simulate or live; default: WORKER_DRILL_MODE. Unset never means live."),
    ] = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """The worker reliability drill: a failed event, the consumer group destroyed, a dead letter, its replay twice.

    simulate runs it on a throwaway system and needs nothing. live runs it on DATABASE_URL and REDIS_URL and takes
    everything of its own away again. Exit codes: 0 passed, 2 it would test nothing, 40 failed, 41 a step was
    skipped, 130 interrupted.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        chosen = mode_of(environment, mode)
        if dry_run:
            rehearse(environment, chosen, screen)
            return
        document = run_drill(environment, chosen, Path.cwd(), screen)
        screen.document(document)
    raise ended_with(document["exitCode"])
