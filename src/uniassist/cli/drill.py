"""`uniassist drill worker`: the runbook's worker reliability drill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniassist import VERSION
from uniassist.cli.release_environment import DryRun, Env, EnvFile, Environment, Json, Screen, ended_with, ending
from uniassist.errors import StartError
from uniassist.release import drill_report, interrupts, revisions
from uniassist.release.drill import Target
from uniassist.release.drill_run import STEPS, Conducted, conduct, document, simulate
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.interrupts import Interrupted
from uniassist.release.steps import Steps, wrapped
from uniassist.settings import Reader


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
    with ending(environment.mask):
        reader = environment.reader()
        mode = _mode(mode, reader, environment)
        path = Path(reader.text("WORKER_DRILL_OUTPUT_PATH"))
        screen = Screen(environment.mask, as_json)
        target = _target(reader, environment) if mode == "live" else None
        if dry_run:
            _say_plan(screen, mode, target)
            return
        drill_report.check_writable(path)
        conducted = Conducted(mode, Steps(STEPS, screen.say, screen.began))
        _conduct(conducted, target, reader, screen)
        _report(conducted, environment, path, screen)
    raise ended_with(conducted.exit_code)


def _mode(mode: str | None, reader: Reader, environment: Environment) -> str:
    if environment.is_prod:
        raise UsageRefused("the drill breaks things on purpose and refuses prod (--env, UNIASSIST_ENV)")
    chosen = mode or reader.optional("WORKER_DRILL_MODE")
    if chosen is None:
        raise UsageRefused(
            "WORKER_DRILL_MODE: not set. WORKER_DRILL_MODE=simulate drills a throwaway system and needs nothing; "
            "WORKER_DRILL_MODE=live injects faults into DATABASE_URL and REDIS_URL"
        )
    if chosen not in ("simulate", "live"):
        raise UsageRefused(f"--mode, WORKER_DRILL_MODE: expected simulate or live, got {chosen!r}")
    return chosen


def _target(reader: Reader, environment: Environment) -> Target:
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if reader.optional(name) is None]
    if missing:
        raise UsageRefused(f"{', '.join(missing)}: required for a live drill, but not set")
    prefix = reader.text("UNIASSIST_STREAM_PREFIX")
    destroys = reader.optional_boolean("WORKER_DRILL_ENABLE_NOGROUP")
    return Target(
        mode="live",
        database_url=reader.database_url().reveal(),
        redis_url=reader.redis_url().reveal(),
        prefix=prefix,
        global_key=reader.optional("UNIASSIST_STREAM_GLOBAL_KEY") or f"{prefix}all",
        group=reader.text("UNIASSIST_STREAM_GROUP"),
        env=environment.values,
        step_seconds=reader.integer("WORKER_DRILL_TIMEOUT_MS") / 1000,
        destroys_group=destroys is not False,
    )


def _say_plan(screen: Screen, mode: str, target: Target | None) -> None:
    if target is None:
        screen.say("would start a system of its own, drill it in four steps, and remove it")
        return
    screen.say(f"would drill the worker of {target.database_url}")
    screen.say(f"  and {target.redis_url}, stream {target.global_key}, group {target.group}:")
    screen.say("[1/4] inject a failed event, expect consumed")
    destroys = (
        "destroy the consumer group, expect all consumed" if target.destroys_group else "skipped: destroy group"
    )
    screen.say(f"[2/4] {destroys}")
    screen.say("[3/4] inject a dead letter, replay it, expect consumed")
    screen.say("[4/4] replay with the same token, expect updated: 0")
    screen.say("  and then take all of its own rows, entries and keys away")


def _conduct(conducted: Conducted, target: Target | None, reader: Reader, screen: Screen) -> None:
    screen.say(f"worker reliability drill, mode {conducted.mode}")
    try:
        if target is not None:
            interrupts.run(conduct(target, conducted), screen.say)
            return
        screen.say("starting a throwaway system…")
        seconds = reader.integer("WORKER_DRILL_TIMEOUT_MS") / 1000
        destroys = reader.optional_boolean("WORKER_DRILL_ENABLE_NOGROUP") is not False
        interrupts.run(simulate(conducted, step_seconds=seconds, destroys_group=destroys), screen.say)
    except Interrupted:
        conducted.interrupted = True
    except StartError as error:
        raise Refused(ExitCode.INCONCLUSIVE, str(error)) from None


def _report(conducted: Conducted, environment: Environment, path: Path, screen: Screen) -> None:
    revision = environment.values.get("UNIASSIST_REVISION") or revisions.describe(Path.cwd())
    found = environment.mask.document(
        document(conducted) | {"toolVersion": VERSION, "toolRevision": revision, "report": str(path)}
    )
    kept = drill_report.write(path, found)
    for line in ("cleaning up:", *wrapped(found["cleanUp"])):
        screen.say(line)
    screen.say(f"drill {conducted.result}")
    screen.say(f"report: {path}")
    screen.say(f"  kept as {kept.name}")
    screen.document(found)
