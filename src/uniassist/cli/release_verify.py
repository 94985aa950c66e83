"""`uniassist release verify`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.cli.release_driver import URLS, given_urls
from uniassist.cli.release_environment import (
    DryRun,
    Env,
    EnvFile,
    Environment,
    Json,
    Rev,
    Screen,
    StateDir,
    ended_with,
    ending,
    keep,
    records_in,
)
from uniassist.release import interrupts, revisions, verify
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.home import Home
from uniassist.release.lock import locked
from uniassist.release.steps import Steps, now
from uniassist.settings import Reader
from uniassist.web.client import JsonClient


def run(
    rev: Rev = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """After a rollout: is everything healthy, of the expected revision, and does a message go all the way?

    Needs STAGING_GATEWAY_BASE_URL, STAGING_PROVIDER_PLAN_BASE_URL and STAGING_ADAPTER_WECHAT_BASE_URL. Writes one
    session. Exit codes: 0 all is well, 2 a variable is missing, 13 something is wrong.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        screen = Screen(environment.mask, as_json)
        names = revisions.names_of(Path.cwd(), rev)
        subject = runbook_subject(environment.reader(), names)
        records = records_in(state_dir)
        if dry_run:
            _say_plan(screen, subject)
            return
        document = interrupts.run(conduct(subject, names, environment.name, screen), screen.say)
        keep(screen, records, document, names.commit)
        if document["exitCode"] == 0:
            _note_verified(Home(records.directory, environment.name), document["revisions"], screen)
        screen.document(document)
    raise ended_with(document["exitCode"])


async def conduct(
    subject: verify.Subject, names: revisions.Names, environment: str, screen: Screen
) -> dict[str, Any]:
    """The nine steps, said on the screen; what becomes the run's evidence."""
    steps, started_at = Steps(verify.STEPS, screen.say, screen.began), now()
    async with JsonClient() as client:
        verification = verify.Verification(subject, steps, client)
        await verification.run()
    wrong = ", ".join(step.name for step in steps.failed)
    screen.say("verified" if steps.ok else f"NOT verified: {wrong}")
    return {
        "command": "release verify",
        "environment": environment,
        "result": "verified" if steps.ok else "failed",
        "exitCode": int(ExitCode.DONE if steps.ok else ExitCode.VERIFY),
        "startedAt": started_at,
        "endedAt": now(),
        "expectedRevision": names.tag,
        "revisions": verification.revisions,
        "steps": steps.document(),
        "toolVersion": VERSION,
    }


def _note_verified(home: Home, seen: Mapping[str, str], screen: Screen) -> None:
    """What was rolled out last is good now, if it is that which was seen: something to roll back to later."""
    current = home.deployed().current
    release = home.kept.find(current) if current else None
    if release is None or set(seen.values()) != {release.tag}:
        return
    try:
        with locked(home.lock, f"notes that {release.tag} is verified"):
            home.change(lambda known: known.proved(release.id))
            home.prune()
    except Refused as refused:
        screen.say(f"NOT noted as verified: {refused}")
        return
    screen.say(f"{release.tag} is good: the next rollout can roll back to it")


def runbook_subject(reader: Reader, names: revisions.Names) -> verify.Subject:
    """By the runbook's variables; UsageRefused names those that are missing."""
    needed = (variable for service, variable in URLS.items() if service != "worker")
    missing = [variable for variable in needed if reader.optional(variable) is None]
    if missing:
        raise UsageRefused(f"{', '.join(missing)}: required, but not set")
    return subject_of(reader, given_urls(reader), names)


def subject_of(reader: Reader, urls: Mapping[str, str], names: revisions.Names) -> verify.Subject:
    """What is verified, at `urls`, with the tokens of the environment."""
    return verify.Subject(
        urls=urls,
        expected=names.all,
        context_token=reader.optional("STAGING_CONTEXT_TOKEN"),
        app_token=reader.optional("STAGING_APP_TOKEN"),
        database_url=reader.database_url().reveal() if reader.optional("DATABASE_URL") else None,
        timeout_seconds=reader.integer("STAGING_VERIFY_TIMEOUT_MS") / 1000,
    )


def _say_plan(screen: Screen, subject: verify.Subject) -> None:
    for name, url in subject.urls.items():
        screen.say(f"would ask {url}/health of {name}")
    screen.say(f"would send one message to {subject.urls['gateway']}, follow it along the timeline")
    screen.say("  and through the worker, and try the context path")
