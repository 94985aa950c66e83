"""`uniassist release evidence build | check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uniassist.cli.release_environment import (
    DryRun,
    Env,
    EnvFile,
    Environment,
    Json,
    Screen,
    StateDir,
    ended_with,
    ending,
    records_in,
)
from uniassist.release import evidence, evidence_bundle
from uniassist.release.evidence_subject import resolve
from uniassist.release.evidence_sweep import Sweep
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.kept import Kept, env_of
from uniassist.release.steps import wrapped

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or the tag or commit of a release.")]


def group() -> typer.Typer:
    app = typer.Typer(help="The runbook's evidence checklist as a bundle for a ticket.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command("build", short_help="Collect it.", help=build.__doc__)(build)
    app.command("check", short_help="Is it whole, unchanged and up to date?", help=check.__doc__)(check)
    return app


def build(
    run: RunName,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Collect a release's evidence: gate log, verification, drill report, both revisions, incident note.

    Also from runs of the literal commands (pnpm release:gate:staging and so on), by commit. May be repeated: the
    bundle is made anew. Exit codes: 0 complete, 2 nothing is recorded of RUN, 41 incomplete, and it says what is
    missing.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        screen, directory = Screen(environment.mask, as_json), records_in(state_dir).directory
        subject = resolve(directory, Path.cwd(), environment.name, run)
        found = evidence.gather(subject, directory, _reports(environment), _sweep(environment, directory))
        folder = evidence_bundle.folder_of(directory, subject.name)
        _say(screen, found.document)
        code = ExitCode.DONE if found.is_complete else ExitCode.INCONCLUSIVE
        if dry_run:
            screen.say(f"would write {len(found.files) + 1} files to {folder}")
            code = ExitCode.DONE
        else:
            seal = evidence_bundle.write(folder, found.files)
            screen.say(f"evidence {'complete' if found.is_complete else 'INCOMPLETE'}: {folder / 'evidence.md'}")
            screen.say(f"seal: {seal}")
            screen.document(found.document | {"folder": str(folder), "seal": seal, "exitCode": int(code)})
    raise ended_with(code)


def check(
    run: RunName,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Is a bundle as it was built, complete, and is nothing newer recorded?

    Exit codes: 0 yes, 2 there is no bundle, 32 a file was changed, added or removed, or the records went on since,
    41 unchanged, but incomplete: something is missing, or the incident is open.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        screen, directory = Screen(environment.mask, as_json), records_in(state_dir).directory
        subject = resolve(directory, Path.cwd(), environment.name, run)
        folder = evidence_bundle.folder_of(directory, subject.name)
        again = f"uniassist release evidence build {subject.name}"
        if not folder.is_dir():
            raise UsageRefused(f"{run}: no evidence was built yet; next: {again}")
        damaged = evidence_bundle.damage(folder)
        document = {} if damaged else evidence_bundle.read(folder)
        behind = [] if damaged else evidence.behind(document, subject, directory, _reports(environment))
        unfinished = [item for item in document.get("items", []) if item["state"] in ("missing", "open")]
        for line in damaged:
            screen.say(f"CHANGED  {line}")
        if behind:
            screen.say(f"BEHIND   recorded differently by now: {', '.join(behind)}")
        _say_items(screen, unfinished)
        code = _code(damaged or behind, unfinished)
        if code is ExitCode.STALE:
            screen.say(f"      next: {again}")
        elif code is ExitCode.DONE:
            screen.say(f"evidence complete and unchanged: {folder}")
        seal = "" if damaged else evidence_bundle.seal(folder)
        screen.say(f"seal: {seal}" if seal else "no seal: the files aren't what was built")
        screen.document(
            {
                "name": subject.name,
                "folder": str(folder),
                "changed": damaged,
                "behind": behind,
                "unfinished": unfinished,
                "seal": seal,
                "exitCode": int(code),
            }
        )
    raise ended_with(code)


def _code(changed: list[str], unfinished: list[dict[str, Any]]) -> ExitCode:
    if changed:
        return ExitCode.STALE
    return ExitCode.INCONCLUSIVE if unfinished else ExitCode.DONE


def _say(screen: Screen, document: dict[str, Any]) -> None:
    back = document["rollback"]
    rollback = f", rollback {back['tag']}" if back else ""
    screen.say(f"evidence of {document['released']['tag']}{rollback}: {document['result']}")
    _say_items(screen, document["items"])
    for name, variables in document["redacted"].items():
        screen.say(f"REDACTED  {name}: values of {', '.join(variables)}")
    if not document["sweptFor"]:
        screen.say("no secret variable has a value here: --env-file FILE has them looked for")


def _say_items(screen: Screen, items: list[dict[str, Any]]) -> None:
    for item in items:
        state = item["state"].upper() if item["state"] in ("missing", "open") else item["state"]
        screen.say(f"{state:<10}  {item['title']}")
        for line in wrapped(item["said"]):
            screen.say(line)
        if item["next"]:
            screen.say(f"      next: {item['next']}")


def _reports(environment: Environment) -> Path:
    return Path(environment.reader().text("WORKER_DRILL_OUTPUT_PATH")).parent


def _sweep(environment: Environment, directory: Path) -> Sweep:
    """For this env set's secrets, and those of all kept releases."""
    return Sweep([environment.values, *(env_of(release) for release in Kept(directory).all())])
