"""The runbook's evidence checklist, item by item: what there is of each, and what to do about what is missing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release.evidence import fit
from uniassist.release.evidence.subject import EvidenceSubject
from uniassist.release.incident import incident, page
from uniassist.release.incident.incident import Revision
from uniassist.release.records.home import Home
from uniassist.release.records.journal import NAME as JOURNAL
from uniassist.release.records.order import Moment
from uniassist.release.records.runs import RUN, Run

_SHOWN = 3
State = Literal["attached", "recorded", "missing", "open", "not needed"]


@dataclass(frozen=True)
class EvidenceFile:
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
    files: tuple[EvidenceFile, ...] = ()
    next: str = ""

    @property
    def is_complete(self) -> bool:
        return self.state not in ("missing", "open")


@dataclass(frozen=True)
class RecordedCommand:
    """One recorded run of gate, verify and so on: its document and the path of its log."""

    log: Path
    document: dict[str, Any]

    @property
    def moment(self) -> Moment:
        return Moment(self.document.get("order"), str(self.document["startedAt"]))

    def said(self) -> str:
        return f"{self.document['result']}, {self.moment.at} to {self.document['endedAt']}"

    def attached(self, name: str) -> tuple[EvidenceFile, ...]:
        paths = (self.log, self.log.with_suffix(".json"))
        return tuple(_file(f"{name}{path.suffix}", f"runs/{path.name}", path) for path in paths)


@dataclass
class Fitting:
    """The records of a kind: the last that fits, and why the others don't."""

    what: str
    last: RecordedCommand | None = None
    refused: list[str] = field(default_factory=list)

    def take(self, kept: RecordedCommand, *reasons: str) -> None:
        """`reasons` against it; empty ones don't count. Records come oldest first."""
        if against := [reason for reason in reasons if reason]:
            self.refused.append(f"the {self.what} of {kept.moment.at}: {', '.join(against)}")
        elif self.last is None or not kept.moment.before(self.last.moment):
            self.last = kept

    def others(self) -> str:
        return f"; not taken: {'; '.join(self.refused[-_SHOWN:])}" if self.refused else ""


def _last(fitting: Fitting) -> str:
    return fitting.last.said() if fitting.last else "none ran"


@dataclass(frozen=True)
class Collection:
    """`directory` of the records; `reports` where drill reports lie."""

    subject: EvidenceSubject
    directory: Path
    reports: Path

    def items(self) -> list[Item]:
        asked = [self.gate(), self.verification(), self.drill(), self.revisions(), self.incident()]
        return asked + self.unrecorded()

    def others(self) -> list[EvidenceFile]:
        """What the checklist doesn't ask for, and a reader may: preflight, and the runs' own journals."""
        found = [kept for kept in self._records("preflight") if self._is_of_commit(kept)]
        attachments = list(found[-1].attached("preflight")) if found else []
        for run in (self.subject.rollout, self.subject.rollback):
            attachments += self._journal(run) if run else []
        return attachments

    def gate(self) -> Item:
        """The last one of this commit and env set that began before the rollout."""
        title, tag = "Gate output log", self.subject.released.tag
        until = self.subject.rollout.moment if self.subject.rollout else None
        fitting = Fitting("gate")
        for kept in filter(self._is_of_commit, self._records("gate")):
            fitting.take(kept, *fit.of_gate(kept.document, kept.moment, until, self.subject.released))
        if fitting.last is None:
            said = f"no gate of {tag} is recorded here that counts{fitting.others()}"
            return Item(title, "missing", said, next=f"uniassist release gate --rev {tag}")
        return Item(title, "attached", fitting.last.said() + fitting.others(), fitting.last.attached("gate"))

    def verification(self) -> Item:
        """Of the release while it ran, and of what it was rolled back to."""
        title, subject = "Post-release verification output", self.subject
        of_release = self._verified(subject.released, subject.since, subject.ends)
        said = f"{subject.released.tag}: {_last(of_release)}{of_release.others()}"
        files = of_release.last.attached("verify") if of_release.last else ()
        needed, since = (subject.previous, subject.rollback.moment) if subject.rollback else (None, None)
        if needed is None:
            state: State = "attached" if of_release.last else "missing"
            command = "" if of_release.last else f"uniassist release verify --rev {subject.released.tag}"
            return Item(title, state, said, files, command)
        after = self._verified(needed, since, None)
        said += f"; after the rollback, {needed.tag}: {_last(after)}{after.others()}"
        files += after.last.attached("verify-after-rollback") if after.last else ()
        command = "" if after.last else f"uniassist release verify --rev {needed.tag}"
        return Item(title, "attached" if after.last else "missing", said, files, command)

    def drill(self) -> Item:
        """The last one of the worker while this revision ran, or a simulated one by this revision's tool."""
        title, tag = "Worker drill report", self.subject.released.tag
        fitting = Fitting("drill")
        for path in sorted(self.reports.glob("*.json")):
            if path.stem.endswith("-latest") or not (document := _document(path)).keys() >= fit.IS_DRILL:
                continue
            kept = RecordedCommand(path.with_suffix(".md"), document)
            fitting.take(kept, *fit.of_drill(document, kept.moment, self.subject))
        if fitting.last is None:
            said = f"no drill of {tag} in {self.reports} that counts{fitting.others()}"
            # What runs no more can't be drilled live; its code, checked out, can be in a simulation.
            simulated = f"git checkout {shlex.quote(tag)} && uniassist drill worker --mode simulate"
            live = "uniassist drill worker --mode live"
            return Item(title, "missing", said, next=live if self.subject.ends is None else simulated)
        kept = fitting.last
        said = f"{kept.document['mode']}, {kept.said()}{fitting.others()}"
        path = kept.log.with_suffix(".json")
        files = [_file("drill.json", path.name, path)]
        if kept.log.exists():
            files.insert(0, _file("drill.md", kept.log.name, kept.log))
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
        close = f"uniassist release incident close {rollback.id}"
        noted = incident.find(self.directory, rollback.id)
        if noted is None:
            return Item(title, "missing", f"{rollback.id} left no note", next="uniassist release status")
        source = f"incidents/{rollback.id}.json of {noted.updated_at}"
        as_json = msgspec.json.format(msgspec.json.encode(noted), indent=2).decode() + "\n"
        files = (
            EvidenceFile("incident.md", source, page.render(noted)),
            EvidenceFile("incident.json", source, as_json),
        )
        if noted.is_open:
            return Item(title, "open", "no root cause yet: a person has to name it", files, close)
        return Item(title, "attached", f"root cause: {noted.causes[-1].text}", files)

    def unrecorded(self) -> list[Item]:
        """Rollbacks from this release that couldn't write their record: nothing supplies it any more."""
        home, rollout = Home(self.directory, self.subject.environment), self.subject.rollout
        lost = [each for each in home.deployed().unrecorded if rollout and each.released == rollout.target]
        said = [f"a rollback at {each.at}: {each.said}" for each in lost]
        return [Item("The rollback's own record", "missing", "; ".join(said))] if lost else []

    def _verified(self, revision: Revision, since: Moment | None, until: Moment | None) -> Fitting:
        """Those that expected, or saw nothing but, this revision, while it ran, on its database."""
        fitting = Fitting("verification")
        for kept in self._records("verify"):
            if fit.is_about(kept.document, revision):
                during = fit.during(kept.moment, since, until)
                fitting.take(kept, *(during, fit.of_database(kept.document, self.subject.database)))
        return fitting

    def _is_of_commit(self, kept: RecordedCommand) -> bool:
        released = self.subject.released
        commit = kept.document.get("commit")
        return commit == released.commit if released.commit else kept.document.get("revision") == released.tag

    def _records(self, command: str) -> list[RecordedCommand]:
        """The oldest first, by their numbers."""
        paths = sorted((self.directory / "runs").glob(f"*-{command}-*.json"))
        found = [RecordedCommand(path.with_suffix(".log"), _document(path)) for path in paths]
        here = [kept for kept in found if "startedAt" in kept.document and self._is_here(kept)]
        return sorted(here, key=lambda kept: (kept.moment.order or 0, kept.moment.at))

    def _is_here(self, kept: RecordedCommand) -> bool:
        return bool(kept.document.get("environment", self.subject.environment) == self.subject.environment)

    def _journal(self, run: Run) -> Iterable[EvidenceFile]:
        folder = self.directory / "runs" / run.id
        for name in (RUN, JOURNAL):
            path = folder / name
            if path.exists():
                text = path.read_text("utf-8")
                yield EvidenceFile(f"{run.kind}-{name}", f"runs/{run.id}/{name}, {len(text)} characters", text)


def _file(name: str, source: str, path: Path) -> EvidenceFile:
    try:
        return EvidenceFile(name, source, path.read_text("utf-8", "replace"))
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} can't be read: {error}") from None
    return found if isinstance(found, dict) else {}
