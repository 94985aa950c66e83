"""The runbook's prerequisites, each really tried: env, Postgres, Redis, and a revision that is what it says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uniassist.release import migrations, revisions, wheels
from uniassist.release.checklist import CheckFailed, expect
from uniassist.release.env_check import check_env
from uniassist.release.records import Records
from uniassist.release.servers import check_postgres, check_redis, schema_revision
from uniassist.release.steps import Advice, Steps

STEPS = 6
STEP_SECONDS = 60.0
WHEEL_SECONDS = 400.0
_SAFE = "don't start the rollout; what runs stays as it is"


@dataclass
class Preflight:
    """`tag` None: the one of the commit that is checked out. `commit`, `wheel`, `previous` are what was found."""

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
    previous: str | None = None  # the commit that one would roll back to

    async def run(self, steps: Steps) -> None:
        """All steps, also after one has failed, but for those that need the revision when there is none."""
        file = self.env_file or "ops/deploy/staging/env.example"
        await self._step(steps, "environment", self.check_environment, 1, f"${{EDITOR:-vi}} {file}")
        await self._step(steps, "postgres", self.check_postgres, 2, 'psql "$DATABASE_URL" -c "select version()"')
        await self._step(steps, "redis", self.check_redis, 2, 'redis-cli -u "$REDIS_URL" info server')
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
        root = revisions.checkout_root(self.here)
        self.tag = self.tag or revisions.tag_at_head(root)
        expect(self.tag, "the commit that is checked out has no tag; give one with --rev, or: git tag -a vN")
        tag = self.tag or ""
        commit = revisions.tag_commit(root, tag)
        if commit is None:
            raise CheckFailed(f"{tag} is no tag: only a tag is a revision to release")
        pinned = self.records.pin(tag, commit)
        expect(
            pinned == commit,
            f"the tag {tag} was moved: it was commit {pinned[:12]} when first seen, and is {commit[:12]} now; "
            "give what is there now a tag of its own",
        )
        changed = revisions.changes(root, self.env_file)
        shown = ", ".join(changed[:5]) + (" …" if len(changed) > 5 else "")
        expect(not changed, f"the working tree isn't clean: {shown}; commit, remove or ignore what is there")
        self.commit = commit
        return f"{tag} is commit {commit[:12]}, the working tree is clean"

    async def check_wheel(self) -> str:
        """Built twice from an export, in different surroundings; the same to the byte."""
        assert self.commit is not None, "the step before found it"
        folder = Path(tempfile.mkdtemp(prefix="uniassist-preflight-"))
        try:
            revisions.export(revisions.checkout_root(self.here), self.commit, folder / "export")
            self.wheel = await wheels.build_twice(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return f"built twice under another path, clock and umask: the same; sha256 {self.wheel[:16]}…"

    async def check_migrations(self) -> str:
        """Between what runs and the revision, and what the database still has to run: all expand."""
        assert self.commit is not None, "the step before found it"
        root = revisions.checkout_root(self.here)
        known = migrations.read(revisions.files_at(root, self.commit, migrations.FOLDER))
        before, said = self._revision_before(root)
        self.previous = before
        current, in_database = await self._schema_revision()
        new = {step.revision: step for step in migrations.pending(known, current)} if current else {}
        if before is not None:
            old = migrations.read(revisions.files_at(root, before, migrations.FOLDER))
            # What this database ran already, a contraction for one, takes nothing away any more.
            ran = migrations.ran(known, current)
            new |= {revision: step for revision, step in known.items() if revision not in {*old, *ran}}
        if objections := migrations.objections(new.values()):
            raise CheckFailed("\n".join(objections))
        if before is None and current is None:
            return f"{said}; {in_database}"
        count = f"{len(new)} new {'migration' if len(new) == 1 else 'migrations'}"
        return f"{said}; {in_database}; {count}, none takes anything away"

    def _revision_before(self, root: Path) -> tuple[str | None, str]:
        assert self.commit is not None, "the step before found it"
        if verified := self.records.last_verified(besides=self.commit):
            return verified, f"rolls back to {verified[:12]}, verified last"
        if tag := revisions.earlier_tag(root, self.commit):
            return revisions.tag_commit(root, tag), f"rolls back to {tag}, the tag before"
        return None, "a first release: there is nothing to roll back to"

    async def _schema_revision(self) -> tuple[str | None, str]:
        try:
            found = await schema_revision(self.database_url or "")
        except CheckFailed:
            return None, "the database couldn't be asked"  # a step of its own says why
        return found, f"the database is at {found}" if found else "the database is empty"
