"""What an incident note gathers: names of variables that changed, commits between two revisions, ends of logs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from uniassist.errors import StartError
from uniassist.release.incident.incident import Changed, Commits, Excerpt
from uniassist.release.report.masking import Masker
from uniassist.release.revision import git

MOST_COMMITS = 50
EXCERPT_LINES = 30
_TAIL_BYTES = 64 * 1024
_LONGEST_LINE = 400


def changed_names(before: Mapping[str, str], after: Mapping[str, str]) -> Changed:
    """From the target's env set to the one that was rolled back; a value never leaves this function."""
    return Changed(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def commits_between(here: Path, target: str | None, released: str | None) -> Commits:
    """What `released` has over `target`, the newest first; without git or a commit it says so instead."""
    if target is None or released is None:
        return Commits(said="not known: the commit of one of the two isn't recorded")
    try:
        root = git.checkout_root(here)
        found = git.subjects(root, target, released, MOST_COMMITS + 1)
    except StartError as error:
        return Commits(said=f"not known: {error}")
    if len(found) > MOST_COMMITS:
        return Commits(tuple(found[:MOST_COMMITS]), f"and more: git log {target[:12]}..{released[:12]}")
    return Commits(tuple(found), "" if found else "none: the target has all that the released one has")


def excerpt(service: str, log: Path, masker: Masker) -> Excerpt:
    """The end of a service's log; a log that can't be read is said in its place.

    Masked before it is cut: half a secret is found by nobody.
    """
    try:
        with log.open("rb") as text:
            size = text.seek(0, os.SEEK_END)
            text.seek(max(0, size - _TAIL_BYTES))
            lines = masker.mask(text.read().decode("utf-8", "replace")).splitlines()
    except OSError as error:
        return Excerpt(service, log.name, (f"can't be read: {error.strerror}",))
    whole = lines[1:] if size > _TAIL_BYTES else lines  # the first is cut where the reading began
    kept = [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} …" for line in whole[-EXCERPT_LINES:]]
    return Excerpt(service, log.name, tuple(kept))
