"""A tag as it would be released: what git, preflight and gate know of it, and what it would change."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniassist.errors import StartError
from uniassist.release.checks.servers import schema_revision
from uniassist.release.env.environment import EnvSet
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.gate.counting import differing, with_file
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Parts, Release, release_id
from uniassist.release.records.records import Records
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.revision import git, migrations, wheel
from uniassist.release.revision.migrations import Migration

_REQUIREMENTS = Path("requirements") / "runtime.txt"


@dataclass(frozen=True)
class ReleaseCandidate:
    """A tag that preflight found ready with this env set.

    release: as it will be kept; its folder isn't there yet.
    root: of the checkout.
    pending: migrations that its database still has to run, oldest first.
    """

    release: Release
    env: EnvSet
    root: Path
    pending: tuple[Migration, ...]


def find(here: Path, tag: str, env: EnvSet, records: Records, home: Home) -> ReleaseCandidate:
    """Refused with 10 where a prerequisite is missing: a tag that stayed, preflight of this commit and env set."""
    root = git.checkout_root(here)
    commit = git.tag_commit(root, tag)
    if commit is None:
        raise Refused(ExitCode.PREFLIGHT, f"{tag} is no tag: only a tag is a revision to release")
    pinned = records.pin(tag, commit)
    if pinned != commit:
        moved = f"the tag {tag} was moved: it was commit {pinned[:12]} when first seen, and is {commit[:12]} now"
        raise Refused(ExitCode.PREFLIGHT, moved)
    ready = records.of_commit(commit).get("preflight")
    command = f"next: uniassist release preflight --rev {tag}"
    if ready is None or not ready.get("wheelSha256"):
        raise Refused(ExitCode.PREFLIGHT, f"{tag} was not found ready by preflight\n      {command}")
    if ready.get("envDigest") != env.digest:
        why = f"preflight saw {tag} with another env set: {differing('preflight', ready, env)}"
        raise Refused(ExitCode.PREFLIGHT, f"{why}\n      next: {_mended(tag, ready, env, 'preflight')}")
    name = release_id(tag, env.digest)
    release = Release(name, tag, commit, ready["wheelSha256"], env.digest, home.kept.directory / name)
    return ReleaseCandidate(release, env, root, tuple(_pending(root, commit, env)))


def refuse_without_gate(candidate: ReleaseCandidate, records: Records) -> None:
    """Refused with 11 unless the gate was green for this commit, wheel and env set."""
    release = candidate.release
    gate = records.of_commit(release.commit).get("gate")
    why, command = None, f"uniassist release gate --rev {release.tag}"
    if gate is None:
        why = f"no green gate for {release.tag}, commit {release.commit[:12]}"
    elif gate.get("wheelSha256") != release.wheel_sha256:
        why = f"the gate was green for another wheel of {release.tag} than preflight's"
    elif gate.get("envDigest") != release.env_digest:
        why = f"the gate was green for {release.tag} with another env set: {differing('gate', gate, candidate.env)}"
        command = _mended(release.tag, gate, candidate.env, "gate")
    if why:
        raise Refused(
            ExitCode.GATE, f"{why}\n      next: {command}\n      safe: nothing was deployed; what runs stays"
        )


def refuse_contraction(candidate: ReleaseCandidate) -> None:
    """Refused with 10 while a migration that old code can't bear is pending."""
    if objections := migrations.objections(candidate.pending):
        tag = candidate.release.tag
        text = "\n      ".join(objections)
        raise Refused(ExitCode.PREFLIGHT, f"{text}\n      next: uniassist release contract --rev {tag}")


def build(candidate: ReleaseCandidate, home: Home) -> Release:
    """Keep the release, built from the commit's export; its wheel is the one that preflight and gate saw."""
    release = candidate.release
    with tempfile.TemporaryDirectory(prefix="uniassist-release-") as folder:
        export, into = Path(folder) / "export", Path(folder) / "wheel"
        git.export(candidate.root, release.commit, export)
        if not (export / _REQUIREMENTS).exists():
            raise Refused(
                ExitCode.PREFLIGHT, f"{release.tag} has no {_REQUIREMENTS}: its dependencies have no hash"
            )
        into.mkdir()
        try:
            built = asyncio.run(wheel.build(export, into, wheel.HERE))
        except CheckFailed as error:
            raise Refused(ExitCode.PREFLIGHT, str(error)) from None
        if (found := wheel.sha256(built)) != release.wheel_sha256:
            raise Refused(
                ExitCode.PREFLIGHT,
                f"the wheel of {release.tag} is {found[:16]}…, and preflight's was {release.wheel_sha256[:16]}…; "
                "the builder changed: run preflight and gate again",
            )
        env, requirements = candidate.env, export / _REQUIREMENTS
        return home.kept.keep(
            Parts(release.tag, release.commit, built, requirements, env.deployed, env.verifying, env.digest)
        )


def _mended(tag: str, known: Mapping[str, Any], env: EnvSet, what: str) -> str:
    """The command that brings both to one env set: the forgotten file given, else `what` made anew."""
    if env.file is None and known.get("envFile"):
        return with_file(f"uniassist release plan --rev {tag}", known["envFile"])
    return f"uniassist release {what} --rev {tag}"


def _pending(root: Path, commit: str, env: EnvSet) -> list[Migration]:
    """Oldest first."""
    known = migrations.read(git.files_at(root, commit, migrations.FOLDER))
    try:
        current = asyncio.run(schema_revision(env.deployed.get("DATABASE_URL", "")))
    except CheckFailed as error:
        raise StartError(str(error)) from None
    return migrations.pending(known, current)[::-1]
