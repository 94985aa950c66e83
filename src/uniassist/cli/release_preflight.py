"""`uniassist release preflight`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.cli.release_environment import (
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
from uniassist.errors import SettingsError
from uniassist.release import interrupts
from uniassist.release.env_file import read_env_file
from uniassist.release.exit_codes import ExitCode
from uniassist.release.preflight import STEPS, Preflight
from uniassist.release.steps import Steps, now
from uniassist.settings import Reader


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
    with ending(environment.mask):
        screen, records = Screen(environment.mask, as_json), records_in(state_dir)
        preflight = Preflight(
            here=Path.cwd(),
            tag=rev,
            environment=environment.name,
            values=read_env_file(env_file) if env_file else environment.values,
            env_file=env_file,
            database_url=_url(environment, "DATABASE_URL"),
            redis_url=_url(environment, "REDIS_URL"),
            records=records,
        )
        steps, started_at = Steps(STEPS, screen.say, screen.began), now()
        interrupts.run(preflight.run(steps), screen.say)
        code = ExitCode.DONE if steps.ok else ExitCode.PREFLIGHT
        known = {
            "tag": preflight.tag,
            "wheelSha256": preflight.wheel,
            "envDigest": environment.env_digest,
            "previousCommit": preflight.previous,
        }
        document: dict[str, Any] = {
            "command": "release preflight",
            "environment": environment.name,
            "result": "ready" if steps.ok else "not ready",
            "exitCode": int(code),
            "startedAt": started_at,
            "endedAt": now(),
            "revision": preflight.tag,
            "commit": preflight.commit,
            "steps": steps.document(),
            "toolVersion": VERSION,
            **known,
        }
        wrong = ", ".join(step.name for step in steps.failed)
        screen.say("ready for the gate" if steps.ok else f"NOT ready: {wrong}")
        if steps.ok and rev is not None:
            screen.say(f"next: uniassist release gate --rev {rev}")
        keep(screen, records, document, preflight.commit, **known)
        screen.document(document)
    raise ended_with(code)


def _url(environment: Environment, name: str) -> str | None:
    """None when it can't be read: the step on the environment says why."""
    try:
        reader: Reader = environment.reader()
        found = reader.database_url() if name == "DATABASE_URL" else reader.redis_url()
    except SettingsError:
        return None
    return found.reveal()
