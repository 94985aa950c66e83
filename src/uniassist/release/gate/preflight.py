"""The runbook's prerequisites, each really tried: env, Postgres, Redis, and a revision that is what it says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.errors import SettingsError
from uniassist.release import interrupts
from uniassist.release.checks.servers import check_postgres, check_redis, schema_revision
from uniassist.release.clock import now
from uniassist.release.env.check import check_env
from uniassist.release.env.environment import Environment
from uniassist.release.env.file import read_env_file
from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.home import Home
from uniassist.release.records.recording import keep
from uniassist.release.records.records import Records
from uniassist.release.records.room import require_room
from uniassist.release.report.checklist import CheckFailed, expect
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.report.steps import Advice, Steps
from uniassist.release.revision import git, migrations, wheel

STEPS = 6
ROOM_MB = 64
STEP_SECONDS = 60.0
WHEEL_SECONDS = 400.0
_SAFE = "don't start the rollout; what runs stays as it is"


@dataclass
class Preflight:
    """The six steps.

    here: in the checkout.
    tag: None: the one of the commit that is checked out; it is found.
    values: the env set to check: the file's where there is one, else the shell's.
    database_url, redis_url: None: not set, or no URL.
    commit: of the tag, once it is found.
    wheel: its wheel's hash, once that was built twice.
    previous: the commit that one would roll back to.
    """

    here: Path
    tag: str | None
    environment: str
    values: Mapping[str, str]
    env_file: Path | None
    database_url: str | None
    redis_url: str | None
    records: Records
    commit: str | None = None
    wheel: str | None = None
    previous: str | None = None

    async def run(self, steps: Steps) -> None:
        """All steps, also after one has failed, but for those that need the revision when there is none."""
        file = self.env_file or "ops/deploy/staging/env.example"
        await self._step(steps, "environment", self.check_environment, 1, f"${{EDITOR:-vi}} {file}")
        await self._step(steps, "postgres", self.check_postgres, 2, "uniassist doctor")
        await self._step(steps, "redis", self.check_redis, 2, "uniassist doctor")
        following = "git status && git tag --points-at HEAD"
        if await self._step(steps, "revision", self.check_revision, 3, following):
            await self._step(steps, "wheel", self.check_wheel, 3, "make lock && git diff", WHEEL_SECONDS)
            await self._step(steps, "migrations", self.check_migrations, 3, "uniassist db status")
        else:
            for name in ("wheel", "migrations"):
                steps.not_run(name, "there is no revision to look at", runbook="Prerequisites 3")

    @staticmethod
    async def _step(
        steps: Steps,
        name: str,
        check: Callable[[], Awaitable[str]],
        number: int,
        following: str,
        deadline_seconds: float = STEP_SECONDS,
    ) -> bool:
        return await steps.run(
            name,
            check,
            runbook=f"Prerequisites {number}",
            deadline_seconds=deadline_seconds,
            advice=Advice(following, _SAFE),
        )

    async def check_environment(self) -> str:
        return check_env(self.values, self.environment, is_file=self.env_file is not None)

    async def check_postgres(self) -> str:
        expect(self.database_url, "DATABASE_URL: not set, or no URL: see the first step")
        return await check_postgres(self.database_url or "")

    async def check_redis(self) -> str:
        expect(self.redis_url, "REDIS_URL: not set, or no URL: see the first step")
        return await check_redis(self.redis_url or "")

    async def check_revision(self) -> str:
        """A tag, of a commit that it always had, and nothing in the tree that isn't in the commit."""
        root = git.checkout_root(self.here)
        self.tag = self.tag or git.tag_at_head(root)
        expect(self.tag, "the commit that is checked out has no tag; give one with --rev, or: git tag -a vN")
        tag = self.tag or ""
        commit = git.tag_commit(root, tag)
        if commit is None:
            raise CheckFailed(f"{tag} is no tag: only a tag is a revision to release")
        pinned = self.records.pin(tag, commit)
        expect(
            pinned == commit,
            f"the tag {tag} was moved: it was commit {pinned[:12]} when first seen, and is {commit[:12]} now; "
            "give what is there now a tag of its own",
        )
        changed = git.changes(root, self.env_file)
        shown = ", ".join(changed[:5]) + (" …" if len(changed) > 5 else "")
        expect(not changed, f"the working tree isn't clean: {shown}; commit, remove or ignore what is there")
        self.commit = commit
        return f"{tag} is commit {commit[:12]}, the working tree is clean"

    async def check_wheel(self) -> str:
        """Built twice from an export, in different surroundings; the same to the byte."""
        assert self.commit is not None, "the step before found it"
        folder = Path(tempfile.mkdtemp(prefix="uniassist-preflight-"))
        try:
            git.export(git.checkout_root(self.here), self.commit, folder / "export")
            self.wheel = await wheel.build_twice(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return f"built twice under another path, clock and umask: the same; sha256 {self.wheel[:16]}…"

    async def check_migrations(self) -> str:
        """Between what runs and the revision, and what the database still has to run: all expand."""
        assert self.commit is not None, "the step before found it"
        root = git.checkout_root(self.here)
        known = migrations.read(git.files_at(root, self.commit, migrations.FOLDER))
        before, said = self.revision_before(root)
        self.previous = before
        current, in_database = await self._schema_revision()
        new = {step.revision: step for step in migrations.pending(known, current)} if current else {}
        if before is not None and git.names_of(root, before).commit is None:
            said += "; git doesn't know its commit: only what the database has still to run was looked at"
        elif before is not None:
            old = migrations.read(git.files_at(root, before, migrations.FOLDER))
            # What this database ran already, a contraction for one, takes nothing away any more.
            ran = migrations.ran(known, current)
            new |= {revision: step for revision, step in known.items() if revision not in {*old, *ran}}
        if objections := migrations.objections(new.values()):
            raise CheckFailed("\n".join(objections))
        if before is None and current is None:
            return f"{said}; {in_database}"
        count = f"{len(new)} new {'migration' if len(new) == 1 else 'migrations'}"
        return f"{said}; {in_database}; {count}, none takes anything away"

    def revision_before(self, root: Path) -> tuple[str | None, str]:
        """The commit that a rollback would go back to, and how that is known."""
        assert self.commit is not None, "the step before found it"
        home = Home(self.records.directory, self.environment)
        known = home.deployed()
        if known.current is not None:  # as status says it, once this is rolled out
            good = [home.kept.find(each.release) for each in known.verified]
            back = next((each for each in reversed(good) if each is not None and each.commit != self.commit), None)
            if back is not None:
                return back.commit, f"rolls back to {back.tag}, verified last"
            return None, "nothing that was verified runs or ran here: there is nothing to roll back to"
        if verified := self.records.last_verified(besides=self.commit):
            return verified, f"rolls back to {verified[:12]}, verified last"
        if tag := git.earlier_tag(root, self.commit):
            return git.tag_commit(root, tag), f"rolls back to {tag}, the tag before"
        return None, "a first release: there is nothing to roll back to"

    async def _schema_revision(self) -> tuple[str | None, str]:
        try:
            found = await schema_revision(self.database_url or "")
        except CheckFailed:
            return None, "the database couldn't be asked"  # a step of its own says why
        return found, f"the database is at {found}" if found else "the database is empty"


def run_preflight(
    environment: Environment, here: Path, rev: str | None, records: Records, reporter: ReleaseReporter
) -> dict[str, Any]:
    """Try all prerequisites, and keep what was found of the commit. The document has the exit code: 0 or 10.

    here: in the checkout.
    rev: None: the tag of the commit that is checked out.

    Interrupted after a Ctrl-C.
    """
    require_room(records.directory, ROOM_MB, temporary=True)
    preflight = Preflight(
        here=here,
        tag=rev,
        environment=environment.name,
        values=read_env_file(environment.file) if environment.file else environment.values,
        env_file=environment.file,
        database_url=_url(environment, "DATABASE_URL"),
        redis_url=_url(environment, "REDIS_URL"),
        records=records,
    )
    steps, started_at = Steps(STEPS, reporter.say, reporter.began), now()
    interrupts.run(preflight.run(steps), reporter.say)
    known = {
        "tag": preflight.tag,
        "wheelSha256": preflight.wheel,
        "envDigest": environment.env_digest,
        "envFile": environment.file_name,
        "previousCommit": preflight.previous,
    }
    document: dict[str, Any] = {
        "command": "release preflight",
        "environment": environment.name,
        "result": "ready" if steps.ok else "not ready",
        "exitCode": int(ExitCode.DONE if steps.ok else ExitCode.PREFLIGHT),
        "startedAt": started_at,
        "endedAt": now(),
        "revision": preflight.tag,
        "commit": preflight.commit,
        "steps": steps.document(),
        "toolVersion": VERSION,
        **known,
    }
    wrong = ", ".join(step.name for step in steps.failed)
    reporter.say("ready for the gate" if steps.ok else f"NOT ready: {wrong}")
    if steps.ok and rev is not None:
        reporter.say(f"next: uniassist release gate --rev {rev}")
    keep(reporter, records, document, preflight.commit, **known)
    return document


def _url(environment: Environment, name: str) -> str | None:
    """None when it can't be read: the step on the environment says why."""
    reader = environment.reader()
    try:
        found = reader.database_url() if name == "DATABASE_URL" else reader.redis_url()
    except SettingsError:
        return None
    return found.reveal()
