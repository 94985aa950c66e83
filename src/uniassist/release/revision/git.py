"""What git knows: tags and their commits, a clean tree, an export of a commit. The only module that runs git."""

from __future__ import annotations

import signal
import tarfile
from dataclasses import dataclass
from pathlib import Path

from uniassist.errors import StartError
from uniassist.release.subprocesses import run_blocking

GIT_SECONDS = 60.0


@dataclass(frozen=True)
class Names:
    """What a service that runs a revision may call it. `commit` None: git doesn't know it, or isn't there."""

    tag: str | None
    commit: str | None

    @property
    def all(self) -> frozenset[str]:
        return frozenset(name for name in (self.tag, self.commit) if name)


class GitMissing(StartError):
    """There is no git, or no checkout."""


def git(root: Path, *arguments: str) -> str:
    """What git prints. StartError with its own words when it refuses."""
    try:
        ended = run_blocking(["git", "-C", str(root), *arguments], GIT_SECONDS)
    except FileNotFoundError:
        raise GitMissing("git is not installed: without it no revision can be pinned or exported") from None
    if ended.code is None:
        raise StartError(f"git {arguments[0]}: not done within {GIT_SECONDS:.0f} s")
    if ended.code != 0:
        raise StartError(f"git {arguments[0]}: {ended.err.strip() or _ending(ended.code)}")
    return ended.out.rstrip("\n")


def _ending(code: int) -> str:
    """Negative: the signal that ended it, in the system's words, such as a limit on files' sizes."""
    return f"ended with {code}" if code >= 0 else f"ended by a signal: {signal.strsignal(-code) or -code}"


def checkout_root(here: Path) -> Path:
    """The checkout that `here` is in; GitMissing when there is none."""
    try:
        return Path(git(here, "rev-parse", "--show-toplevel"))
    except GitMissing:
        raise
    except StartError as error:
        raise GitMissing(f"{here} is in no git checkout ({error})") from None


def names_of(here: Path, revision: str | None) -> Names:
    """Without git, or for a revision that it doesn't know, the given name alone."""
    if revision is None:
        return Names(None, None)
    try:
        return Names(revision, commit_of(checkout_root(here), revision))
    except StartError:
        return Names(revision, None)


def describe(here: Path) -> str:
    """The commit of the checkout for evidence, with `-dirty` when it has changes; `unknown` without git."""
    try:
        root = checkout_root(here)
        commit = git(root, "rev-parse", "HEAD")
        return f"{commit}-dirty" if changes(root) else commit
    except StartError:
        return "unknown"


def changes(root: Path, ignored: Path | None = None) -> list[str]:
    """Files that differ from the commit or aren't in it, but for `ignored` (the env file)."""
    names = [line[3:] for line in git(root, "status", "--porcelain", "--untracked-files=all").splitlines()]
    return [name for name in names if ignored is None or (root / name).resolve() != ignored.resolve()]


def tag_commit(root: Path, tag: str) -> str | None:
    """The commit that a tag names; None when there is no such tag (a branch or a commit isn't one).

    StartError for a tag of something else: git tags trees and files as well.
    """
    name = f"refs/tags/{tag}"
    if name not in git(root, "for-each-ref", "--format=%(refname)", "refs/tags").splitlines():
        return None
    kind = git(root, "cat-file", "-t", f"{name}^{{}}")
    if kind != "commit":
        raise StartError(
            f"{tag} is the tag of a {kind}, not of a commit: give the commit to release a tag of its own"
        )
    return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def commit_of(root: Path, revision: str) -> str:
    """The full commit; StartError when there is no such revision."""
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except GitMissing:
        raise
    except StartError:
        raise StartError(f"{revision}: no such revision in {root}") from None


def tag_at_head(root: Path) -> str | None:
    """A tag of the commit that is checked out."""
    tags = git(root, "tag", "--points-at", "HEAD", "--sort=-creatordate").splitlines()
    return tags[0] if tags else None


def free_tag(root: Path) -> str:
    """The first of v1, v2, … that is no tag yet."""
    taken = set(git(root, "tag").splitlines())
    return next(name for number in range(1, len(taken) + 2) if (name := f"v{number}") not in taken)


def earlier_tag(root: Path, commit: str) -> str | None:
    """The nearest tag among a commit's ancestors: what is released now, as far as git knows."""
    try:
        return git(root, "describe", "--tags", "--abbrev=0", f"{commit}^")
    except GitMissing:
        raise
    except StartError:
        return None


def subjects(root: Path, since: str, until: str, most: int) -> list[str]:
    """Commits that `until` has and `since` hasn't, one line each, the newest first."""
    between = ("--end-of-options", f"{since}..{until}")
    return git(root, "log", "--oneline", "--no-decorate", f"--max-count={most}", *between).splitlines()


def export(root: Path, commit: str, into: Path) -> None:
    """The commit's files, and nothing else of the checkout, in a new directory `into`."""
    into.mkdir(parents=True)
    archive = into.with_name(f"{into.name}.tar")
    git(root, "archive", "--format=tar", f"--output={archive}", commit)
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    archive.unlink()


def files_at(root: Path, commit: str, folder: str) -> dict[str, str]:
    """The text files under `folder` at a commit, by path; empty when there is none."""
    names = git(root, "ls-tree", "-r", "--name-only", commit, "--", folder).splitlines()
    return {name: git(root, "show", f"{commit}:{name}") for name in names}
