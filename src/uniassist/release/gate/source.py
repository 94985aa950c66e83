"""The files that the gate tests: an export of a revision, or the working tree as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uniassist.release.revision import git


@dataclass(frozen=True)
class GateSource:
    """What is tested. `commit` None: it is no commit, so that it counts for no release."""

    directory: Path
    commit: str | None
    said: str


@contextmanager
def source_of(here: Path, rev: str | None) -> Iterator[GateSource]:
    """An export of `rev`, removed afterwards; None: the checkout that `here` is in. StartError without git."""
    root = git.checkout_root(here)
    if rev is None:
        changed = git.changes(root)
        commit = None if changed else git.commit_of(root, "HEAD")
        state = (
            f"with {len(changed)} changes: counts for no release" if changed else f"unchanged at {str(commit)[:12]}"
        )
        yield GateSource(root, commit, f"the working tree, {state}")
        return
    commit = git.commit_of(root, rev)
    folder = Path(tempfile.mkdtemp(prefix="uniassist-gate-"))
    folder.chmod(0o755)  # the embedded Postgres may run as another user
    try:
        git.export(root, commit, folder / "export")
        yield GateSource(folder / "export", commit, f"{rev}, commit {commit[:12]}, exported")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
