"""Whether a record belongs to a release: each rule answers why not, or nothing. Pure; no clock decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uniassist.release.evidence.subject import EvidenceSubject
from uniassist.release.incident.incident import Revision
from uniassist.release.records.order import Moment

IS_DRILL = {"mode", "startedAt", "endedAt", "result"}
Document = Mapping[str, Any]


def during(moment: Moment, since: Moment | None, until: Moment | None) -> str:
    """In the time in which the revision ran; None: that end isn't known."""
    if since is not None and moment.before(since):
        return "it was made before this revision was rolled out"
    if until is not None and not moment.before(until):
        return "it was made when this revision ran no more"
    return ""


def of_database(document: Document, database: str | None) -> str:
    """On the database of the release, where both are known."""
    found = document.get("database")
    return "it was made on another database" if None not in (found, database) and found != database else ""


def is_about(verification: Document, revision: Revision) -> bool:
    """It expected this revision, or saw nothing else."""
    names = names_of(revision)
    seen = set(verification.get("revisions", {}).values())
    return verification.get("expectedRevision") in names or bool(seen and seen <= names)


def of_gate(document: Document, moment: Moment, rollout: Moment | None, released: Revision) -> tuple[str, ...]:
    late = rollout is not None and not moment.before(rollout)
    digest = document.get("envDigest")
    other = None not in (digest, released.env_digest) and digest != released.env_digest
    return (
        "it was made after the rollout had begun" if late else "",
        "it was made with another env set" if other else "",
    )


def of_drill(document: Document, moment: Moment, subject: EvidenceSubject) -> tuple[str, ...]:
    """A live one of the worker that ran as this revision; a simulated one by this revision's own code."""
    names = names_of(subject.released)
    if document["mode"] != "live":
        return ("" if document.get("toolRevision") in names else "it is of another revision's code",)
    if subject.since is None:  # released by hand: only the tool's own word is there
        known = document.get("toolRevision") in names or document.get("running", {}).get("worker") in names
        return ("" if known else "nothing says that this revision ran",)
    worker = document.get("running", {}).get("worker")
    return (
        during(moment, subject.since, subject.ends),
        of_database(document, subject.database),
        f"the worker was {worker}" if worker is not None and worker not in names else "",
    )


def names_of(revision: Revision) -> set[str]:
    """What it may be called."""
    return {name for name in (revision.tag, revision.commit) if name}
