"""`uniassist release contract`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from uniassist.cli.release_context import Because, Context, Yes, ask, refuse_without_consent
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
from uniassist.release import candidate, observation, own_code, unfinished
from uniassist.release.candidate import Candidate
from uniassist.release.checklist import CheckFailed
from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.lock import locked


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: DriverName = "local",
    driver_file: DriverFile = None,
    because: Because = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run a tag's contracting migrations, before it is rolled out, once nothing older needs what they take away.

    What runs must be verified and healthy. Afterwards there is nothing to roll back to until the next release is
    verified: older code can't run on the new schema. Exit codes: 0 done, 2 consent missing or nothing to do, 10 not
    ready, 12 a migration failed, 30 locked, 31 an unfinished run is there, 32 something drifted.
    """
    with ending():
        refuse_without_consent(yes, dry_run)
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        context = Context.of(environment, as_json, state_dir, driver, driver_file, because)
        if dry_run:
            _tell(context, _found(context, rev))
            return
        with locked(context.home.lock, because or f"contracting migrations of {rev}"):
            code, said = _contract(context, rev, yes)
        context.screen.say(said)
        context.ended("release contract", None, code, migrations=said)
    raise ended_with(code)


def _contract(context: Context, rev: str | None, yes: bool) -> tuple[ExitCode, str]:
    found = _found(context, rev)
    _tell(context, found)
    ask(f"Take this away from {context.environment.name}, for good?", yes)
    release = candidate.build(found, context.home)
    # Before, and not after: a rollback target that can't run any more is worse than none.
    context.home.change(lambda known: known.only_current_is_good())
    try:
        asyncio.run(context.driver.prepare(release))
        return ExitCode.DONE, context.conduct(own_code.migrate(context.driver, release, "--contract"))
    except (CheckFailed, DriverFailed) as error:
        return ExitCode.ROLLOUT, str(error)


def _found(context: Context, rev: str | None) -> Candidate:
    """Refused unless it is safe now, as far as can be seen from here."""
    if rev is None:
        raise UsageRefused("--rev: which tag has the migrations?")
    home = context.home
    unfinished.refuse_rollout(home)
    found = candidate.find(Path.cwd(), rev, context.environment.env_set, context.records, home)
    if not any(step.kind == "contract" for step in found.pending):
        raise UsageRefused(f"no contracting migration of {rev} is pending")
    known = home.deployed()
    current = home.kept.find(known.current or "nothing")
    if current is None or current.id not in {verified.release for verified in known.verified}:
        raise Refused(ExitCode.PREFLIGHT, "what runs isn't verified\n      next: uniassist release status")
    seen = asyncio.run(observation.observe_all(context.driver))
    if wrong := [
        line
        for name, line in zip(seen, observation.lines(seen), strict=True)
        if not observation.is_up(seen[name], current)
    ]:
        raise Refused(ExitCode.STALE, "\n      ".join([f"not all runs as {current.tag}:", *wrong]))
    return found


def _tell(context: Context, found: Candidate) -> None:
    for step in found.pending:
        context.screen.say(f"pending: {step.name} ({step.kind})")
    context.screen.say("nothing older than what runs can be rolled back to afterwards")
