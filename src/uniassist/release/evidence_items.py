"""The runbook's evidence checklist, item by item: what there is of each, and what to do about what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release import incident, incident_note
from uniassist.release.evidence_subject import Subject
from uniassist.release.incident import Revision
from uniassist.release.journal import NAME as JOURNAL
from uniassist.release.runs import RUN, Run

State = Literal["attached", "recorded", "missing", "open", "not needed"]


@dataclass(frozen=True)
class Attachment:
    """A file of the bundle. `source` says where it came from, and which state of it."""

    name: str
    source: str
    text: str


@dataclass(frozen=True)
class Item:
    """`next`: one command that supplies what is missing."""

    title: str
    state: State
    said: str
    files: tuple[Attachment, ...] = ()
    next: str = ""

    @property
    def is_complete(self) -> bool:
        return self.state not in ("missing", "open")


@dataclass(frozen=True)
class Kept:
    """One recorded run of gate, verify and so on: its document and the path of its log."""

    log: Path
    document: dict[str, Any]

    @property
    def started_at(self) -> str:
        return str(self.document["startedAt"])

    def said(self) -> str:
        return f"{self.document['result']}, {self.started_at} to {self.document['endedAt']}"

    def attached(self, name: str) -> tuple[Attachment, ...]:
        paths = (self.log, self.log.with_suffix(".json"))
        return tuple(_file(f"{name}{path.suffix}", f"runs/{path.name}", path) for path in paths)


@dataclass(frozen=True)
class Collection:
    """`directory` of the records; `reports` where drill reports lie."""

    subject: Subject
    directory: Path
    reports: Path

    def items(self) -> list[Item]:
        return [self.gate(), self.verification(), self.drill(), self.revisions(), self.incident()]

    def others(self) -> list[Attachment]:
        """What the checklist doesn't ask for, and a reader may: preflight, and the runs' own journals."""
        found = [kept for kept in self._records("preflight") if self._is_of_commit(kept)]
        attachments = list(found[-1].attached("preflight")) if found else []
        for run in (self.subject.rollout, self.subject.rollback):
            attachments += self._journal(run) if run else []
        return attachments

    def gate(self) -> Item:
        """The last one of this commit that began before the rollout."""
        title = "Gate output log"
        of_commit = [kept for kept in self._records("gate") if self._is_of_commit(kept)]
        until = self.subject.rollout.started_at if self.subject.rollout else None
        found = [kept for kept in of_commit if until is None or kept.started_at <= until]
        tag = self.subject.released.tag
        if not found:
            said = f"no gate of {tag} is recorded here" + (" from before the rollout" if of_commit else "")
            return Item(title, "missing", said, next=f"uniassist release gate --rev {tag}")
        return Item(title, "attached", found[-1].said(), found[-1].attached("gate"))

    def verification(self) -> Item:
        """Of the release while it ran, and of what it was rolled back to."""
        title, subject = "Post-release verification output", self.subject
        ends = subject.rollback.started_at if subject.rollback else subject.until
        of_release = self._verified(subject.released, subject.since, ends)
        said = f"{subject.released.tag}: {of_release.said() if of_release else 'none ran'}"
        files = of_release.attached("verify") if of_release else ()
        needed, since = (subject.previous, subject.rollback.started_at) if subject.rollback else (None, None)
        if needed is None:
            state: State = "attached" if of_release else "missing"
            command = "" if of_release else f"uniassist release verify --rev {subject.released.tag}"
            return Item(title, state, said, files, command)
        after = self._verified(needed, since, None)
        said += f"; after the rollback, {needed.tag}: {after.said() if after else 'none ran'}"
        files += after.attached("verify-after-rollback") if after else ()
        command = "" if after else f"uniassist release verify --rev {needed.tag}"
        return Item(title, "attached" if after else "missing", said, files, command)

    def drill(self) -> Item:
        """The last one by this revision's tool, or of the worker while this revision ran."""
        title = "Worker drill report"
        found = sorted(
            (document["startedAt"], path)
            for path in self.reports.glob("*.json")
            if not path.stem.endswith("-latest") and self._is_of_release(document := _document(path))
        )
        if not found:
            command = "WORKER_DRILL_MODE=live pnpm worker:drill:staging"
            return Item(
                title, "missing", f"no drill of {self.subject.released.tag} in {self.reports}", next=command
            )
        path = found[-1][1]
        document = _document(path)
        said = f"{document['mode']}, {document['result']}, {document['startedAt']} to {document['endedAt']}"
        files = [_file("drill.json", path.name, path)]
        if (report := path.with_suffix(".md")).exists():
            files.insert(0, _file("drill.md", report.name, report))
        return Item(title, "attached", said, tuple(files))

    def revisions(self) -> Item:
        title, subject = "Release revision and rollback revision", self.subject
        released = f"release {subject.released.tag}"
        if subject.is_first:
            return Item(title, "recorded", f"{released}; a first release: there was nothing to roll back to")
        if subject.previous is None:
            command = f"uniassist release preflight --rev {subject.released.tag}"
            return Item(title, "missing", f"{released}; what it would roll back to isn't recorded", next=command)
        return Item(title, "recorded", f"{released}, rollback {subject.previous.tag}")

    def incident(self) -> Item:
        title, rollback = "Incident note", self.subject.rollback
        if rollback is None:
            return Item(title, "not needed", "no rollback of this release is recorded here")
        close = f'uniassist release incident close {rollback.id} --cause "…"'
        noted = incident.find(self.directory, rollback.id)
        if noted is None:
            return Item(title, "missing", f"{rollback.id} left no note", next="uniassist release status")
        source = f"incidents/{rollback.id}.json of {noted.updated_at}"
        as_json = msgspec.json.format(msgspec.json.encode(noted), indent=2).decode() + "\n"
        files = (
            Attachment("incident.md", source, incident_note.render(noted)),
            Attachment("incident.json", source, as_json),
        )
        if noted.is_open:
            return Item(title, "open", "no root cause yet: a person has to name it", files, close)
        return Item(title, "attached", f"root cause: {noted.causes[-1].text}", files)

    def _verified(self, revision: Revision, since: str | None, until: str | None) -> Kept | None:
        """The last verification that expected, or saw nothing but, this revision."""
        names = {revision.tag, revision.commit} - {None}
        found = [
            kept
            for kept in self._records("verify")
            if (since is None or kept.started_at >= since) and (until is None or kept.started_at < until)
            if kept.document.get("expectedRevision") in names
            or ((seen := set(kept.document.get("revisions", {}).values())) and seen <= names)
        ]
        return found[-1] if found else None

    def _is_of_commit(self, kept: Kept) -> bool:
        released = self.subject.released
        commit = kept.document.get("commit")
        return commit == released.commit if released.commit else kept.document.get("revision") == released.tag

    def _is_of_release(self, drill: dict[str, Any]) -> bool:
        if not {"mode", "startedAt", "endedAt", "result"} <= drill.keys():
            return False
        names = {self.subject.released.tag, self.subject.released.commit} - {None}
        if drill.get("toolRevision") in names:
            return True
        since, started = self.subject.since, str(drill["startedAt"])
        ends = self.subject.rollback.started_at if self.subject.rollback else self.subject.until
        in_time = since is not None and since <= started and (ends is None or started < ends)
        return in_time and drill["mode"] == "live"

    def _records(self, command: str) -> list[Kept]:
        """The oldest first: the names begin with the time."""
        paths = sorted((self.directory / "runs").glob(f"*-{command}-*.json"))
        found = [Kept(path.with_suffix(".log"), _document(path)) for path in paths]
        return [kept for kept in found if "startedAt" in kept.document and self._is_here(kept)]

    def _is_here(self, kept: Kept) -> bool:
        return bool(kept.document.get("environment", self.subject.environment) == self.subject.environment)

    def _journal(self, run: Run) -> Iterable[Attachment]:
        folder = self.directory / "runs" / run.id
        for name in (RUN, JOURNAL):
            path = folder / name
            if path.exists():
                text = path.read_text("utf-8")
                yield Attachment(f"{run.kind}-{name}", f"runs/{run.id}/{name}, {len(text)} characters", text)


def _file(name: str, source: str, path: Path) -> Attachment:
    try:
        return Attachment(name, source, path.read_text("utf-8", "replace"))
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} can't be read: {error}") from None
    return found if isinstance(found, dict) else {}
