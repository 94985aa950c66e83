"""`uniassist release evidence build | check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uniassist.cli.release.options import DryRun, Env, EnvFile, Json, StateDir, records_in
from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.env.environment import Environment
from uniassist.release.evidence import bundle, evidence
from uniassist.release.exit_codes import ExitCode
from uniassist.release.report.place import place
from uniassist.release.report.steps import wrapped

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
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        found, folder = evidence.collect(environment, records_in(state_dir).directory, Path.cwd(), run)
        _say(screen, found.document)
        if dry_run:
            screen.say(f"would write {len(found.files) + 1} files to {folder}")
            return
        code = ExitCode.DONE if found.is_complete else ExitCode.INCONCLUSIVE
        seal = bundle.write(folder, found.files)
        screen.say(f"evidence {'complete' if found.is_complete else 'INCOMPLETE'}:")
        screen.say(f"      {place(folder / 'evidence.md')}")
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
    with ending(environment.masker.mask), Screen(environment.masker, as_json) as screen:
        found = evidence.check(environment, records_in(state_dir).directory, Path.cwd(), run)
        for line in found.changed:
            screen.say(f"CHANGED  {line}")
        if found.behind:
            screen.say(f"BEHIND   recorded differently by now: {', '.join(found.behind)}")
        _say_items(screen, found.unfinished)
        if found.exit_code is ExitCode.STALE:
            screen.say(f"      next: {evidence.again(found.name)}")
        elif found.exit_code is ExitCode.DONE:
            screen.say(f"evidence complete and unchanged: {found.folder}")
        screen.say(f"seal: {found.seal}" if found.seal else "no seal: the files aren't what was built")
        screen.document(found.document())
    raise ended_with(found.exit_code)


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
