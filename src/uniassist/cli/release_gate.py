"""`uniassist release gate`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from uniassist.release import interrupts, revisions, wheels
from uniassist.release.checklist import CheckFailed
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.gate import CHECKS, Gate
from uniassist.release.servers import check_postgres, check_redis
from uniassist.release.steps import Steps, now


@dataclass(frozen=True)
class Source:
    """What is tested. `commit` None: it is no commit, so that it counts for no release."""

    directory: Path
    commit: str | None
    said: str


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
    with ending(environment.mask):
        screen, records = Screen(environment.mask, as_json), records_in(state_dir)
        reader = environment.reader()
        if missing := [name for name in ("DATABASE_URL", "REDIS_URL") if reader.optional(name) is None]:
            raise UsageRefused(f"{', '.join(missing)}: required, but not set")
        servers = (reader.database_url().reveal(), reader.redis_url().reveal())
        if dry_run:
            for number, check in enumerate(CHECKS, start=1):
                screen.say(f"[{number}/{len(CHECKS)}] would run pnpm {check.script}")
            return
        steps, started_at = Steps(len(CHECKS), screen.say, screen.began), now()
        with _source(rev) as source:
            screen.say(f"gate of {source.said}")
            gate = Gate(source.directory, *servers, records.directory / "mypy-cache", screen.began)
            wheel = interrupts.run(_run(gate, steps, source), screen.say)
        code = ExitCode.DONE if steps.ok else ExitCode.GATE
        known = {"wheelSha256": wheel, "envDigest": environment.env_digest}
        document: dict[str, Any] = {
            "command": "release gate",
            "environment": environment.name,
            "result": "green" if steps.ok else "red",
            "exitCode": int(code),
            "startedAt": started_at,
            "endedAt": now(),
            "revision": rev,
            "commit": source.commit,
            "steps": steps.document(),
            "toolVersion": VERSION,
            **known,
        }
        counts = "" if source.commit is not None else ", but it counts for no release: it was of no tagged commit"
        screen.say(f"gate green{counts}" if steps.ok else f"gate RED: {steps.failed[0].name}")
        if steps.ok and rev is not None:
            screen.say(f"next: uniassist release plan --rev {rev}")
        screen.lines += ["", *map(environment.mask, gate.output)]
        keep(screen, records, document, source.commit, **known)
        screen.document(document)
    raise ended_with(code)


async def _run(gate: Gate, steps: Steps, source: Source) -> str | None:
    """The hash of the revision's wheel, once everything is green."""
    try:
        await check_postgres(gate.database_url)
        await check_redis(gate.redis_url)
    except CheckFailed as error:
        raise Refused(ExitCode.PREFLIGHT, str(error)) from None
    await gate.run(steps)
    if not steps.ok or source.commit is None:
        return None
    with tempfile.TemporaryDirectory(prefix="uniassist-gate-") as folder:
        export = Path(folder) / "export"
        revisions.export(revisions.checkout_root(Path.cwd()), source.commit, export)
        into = Path(folder) / "wheel"
        into.mkdir()
        try:
            return wheels.sha256(await wheels.build(export, into, wheels.HERE))
        except CheckFailed as error:
            raise Refused(ExitCode.GATE, str(error)) from None


@contextmanager
def _source(rev: str | None) -> Iterator[Source]:
    """An export of the revision, removed afterwards, or the working tree as it is."""
    root = revisions.checkout_root(Path.cwd())
    if rev is None:
        changed = revisions.changes(root)
        commit = None if changed else revisions.commit_of(root, "HEAD")
        state = (
            f"with {len(changed)} changes: counts for no release" if changed else f"unchanged at {str(commit)[:12]}"
        )
        yield Source(root, commit, f"the working tree, {state}")
        return
    commit = revisions.commit_of(root, rev)
    folder = Path(tempfile.mkdtemp(prefix="uniassist-gate-"))
    folder.chmod(0o755)  # the embedded Postgres may run as another user
    try:
        revisions.export(root, commit, folder / "export")
        yield Source(folder / "export", commit, f"{rev}, commit {commit[:12]}, exported")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
