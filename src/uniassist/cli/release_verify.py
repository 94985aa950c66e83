"""`uniassist release verify`."""

from __future__ import annotations

from pathlib import Path

from uniassist import VERSION
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
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.steps import Steps, now
from uniassist.settings import Reader
from uniassist.web.client import JsonClient

_URLS = {
    "provider-plan": "STAGING_PROVIDER_PLAN_BASE_URL",
    "adapter-wechat": "STAGING_ADAPTER_WECHAT_BASE_URL",
    "gateway": "STAGING_GATEWAY_BASE_URL",
}


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
        subject = subject_of(environment.reader(), names)
        if dry_run:
            _say_plan(screen, subject)
            return
        steps, started_at = Steps(verify.STEPS, screen.say, screen.began), now()
        verification = interrupts.run(_run_verify(subject, steps), screen.say)
        code = ExitCode.DONE if steps.ok else ExitCode.VERIFY
        document = {
            "command": "release verify",
            "environment": environment.name,
            "result": "verified" if steps.ok else "failed",
            "exitCode": int(code),
            "startedAt": started_at,
            "endedAt": now(),
            "expectedRevision": rev,
            "revisions": verification.revisions,
            "steps": steps.document(),
            "toolVersion": VERSION,
        }
        wrong = ", ".join(step.name for step in steps.failed)
        screen.say("verified" if steps.ok else f"NOT verified: {wrong}")
        keep(screen, records_in(state_dir), document, names.commit)
        screen.document(document)
    raise ended_with(code)


async def _run_verify(subject: verify.Subject, steps: Steps) -> verify.Verification:
    async with JsonClient() as client:
        verification = verify.Verification(subject, steps, client)
        await verification.run()
        return verification


def subject_of(reader: Reader, names: revisions.Names) -> verify.Subject:
    """By the runbook's variables; UsageRefused names those that are missing."""
    missing = [variable for variable in _URLS.values() if reader.optional(variable) is None]
    if missing:
        raise UsageRefused(f"{', '.join(missing)}: required, but not set")
    urls = {service: reader.http_url(variable) for service, variable in _URLS.items()}
    if worker := reader.optional_http_url("STAGING_WORKER_BASE_URL"):
        urls["worker"] = worker
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
