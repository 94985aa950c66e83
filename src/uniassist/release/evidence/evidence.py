"""A release's evidence as one document, and as the files of a bundle, none of which holds a secret."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from uniassist import VERSION
from uniassist.release.clock import now
from uniassist.release.env.environment import Environment
from uniassist.release.evidence import bundle, page
from uniassist.release.evidence.bundle import DOCUMENT, PAGE
from uniassist.release.evidence.items import Collection, EvidenceFile, Item
from uniassist.release.evidence.subject import EvidenceSubject, resolve
from uniassist.release.evidence.sweep import Sweep
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.incident.incident import Revision
from uniassist.release.records import journal
from uniassist.release.records.kept_releases import KeptReleases, env_of
from uniassist.release.records.runs import Run, Runs
from uniassist.release.report.steps import camel


@dataclass(frozen=True)
class Evidence:
    """`document` is what evidence.json says; `files` the bundle's texts by name."""

    document: dict[str, Any]
    files: dict[str, str]

    @property
    def is_complete(self) -> bool:
        return bool(self.document["complete"])


@dataclass(frozen=True)
class Checked:
    """A bundle as it was found.

    changed: files that aren't as they were built.
    behind: files that something newer is recorded for.
    unfinished: items of the checklist that are missing or open.
    seal: of the bundle; empty when files were changed.
    """

    name: str
    folder: Path
    changed: list[str]
    behind: list[str]
    unfinished: list[dict[str, Any]]
    seal: str

    @property
    def exit_code(self) -> ExitCode:
        if self.changed or self.behind:
            return ExitCode.STALE
        return ExitCode.INCONCLUSIVE if self.unfinished else ExitCode.DONE

    def document(self) -> dict[str, Any]:
        return camel(asdict(self)) | {"folder": str(self.folder), "exitCode": int(self.exit_code)}


def collect(environment: Environment, directory: Path, here: Path, name: str) -> tuple[Evidence, Path]:
    """The evidence of `name` (a run, a tag or a commit), and the folder of its bundle. Writes nothing.

    directory: of the records.
    here: where git may be.

    UsageRefused when nothing is recorded of it.
    """
    subject = resolve(directory, here, environment.name, name)
    found = gather(subject, directory, _reports(environment), _sweep(environment, directory))
    return found, bundle.folder_of(directory, subject.name)


def check(environment: Environment, directory: Path, here: Path, name: str) -> Checked:
    """Is the bundle of `name` as it was built, complete, and is nothing newer recorded?

    UsageRefused when nothing is recorded of it, or no bundle was built.
    """
    subject = resolve(directory, here, environment.name, name)
    folder = bundle.folder_of(directory, subject.name)
    if not folder.is_dir():
        raise UsageRefused(f"{name}: no evidence was built yet; next: {again(subject.name)}")
    damaged = bundle.damage(folder)
    document = {} if damaged else bundle.read(folder)
    return Checked(
        name=subject.name,
        folder=folder,
        changed=damaged,
        behind=[] if damaged else behind(document, subject, directory, _reports(environment)),
        unfinished=[item for item in document.get("items", []) if item["state"] in ("missing", "open")],
        seal="" if damaged else bundle.seal(folder),
    )


def again(name: str) -> str:
    """The command that builds a bundle anew."""
    return f"uniassist release evidence build {name}"


def gather(subject: EvidenceSubject, directory: Path, reports: Path, sweep: Sweep) -> Evidence:
    """Everything there is, swept. Refused (41) if a secret is left even so: nothing may be written then."""
    collection = Collection(subject, directory, reports)
    items, others = collection.items(), collection.others()
    attachments = [*(file for item in items for file in item.files), *others]
    files: dict[str, str] = {}
    redacted: dict[str, list[str]] = {}
    for attachment in attachments:
        files[attachment.name], found = sweep.redact(attachment.text)
        if found:
            redacted[attachment.name] = found
    document = _document(subject, directory, items, attachments) | {
        "redacted": redacted,
        "sweptFor": sweep.variables,
    }
    document = json.loads(sweep.redact(json.dumps(document, ensure_ascii=False))[0])
    files[DOCUMENT] = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    files[PAGE], _ = sweep.redact(page.render(document))
    _last_look(files, sweep)
    return Evidence(document, files)


def behind(document: dict[str, Any], subject: EvidenceSubject, directory: Path, reports: Path) -> list[str]:
    """Files of a bundle that something newer is recorded for, or that nothing is recorded for any more."""
    collection = Collection(subject, directory, reports)
    current = {file.name: file.source for item in collection.items() for file in item.files}
    current |= {file.name: file.source for file in collection.others()}
    built = document.get("sources", {})
    return sorted(name for name in built.keys() | current.keys() if built.get(name) != current.get(name))


def _reports(environment: Environment) -> Path:
    """Where drill reports lie."""
    return Path(environment.reader().text("WORKER_DRILL_OUTPUT_PATH")).parent


def _sweep(environment: Environment, directory: Path) -> Sweep:
    """For this env set's secrets, and those of all kept releases."""
    return Sweep([environment.values, *(env_of(release) for release in KeptReleases(directory).all())])


def _document(
    subject: EvidenceSubject, directory: Path, items: Sequence[Item], attachments: Sequence[EvidenceFile]
) -> dict[str, Any]:
    runs = [run for run in (subject.rollout, subject.rollback) if run]
    started, ended = _times(runs, attachments)
    return {
        "name": subject.name,
        "environment": subject.environment,
        "complete": all(item.is_complete for item in items),
        "result": _result(subject, directory),
        "released": _revision(subject.released),
        "rollback": _revision(subject.previous) if subject.previous else None,
        "startedAt": started,
        "endedAt": ended,
        "builtAt": now(),
        "items": [
            {
                "title": item.title,
                "state": item.state,
                "said": item.said,
                "files": [file.name for file in item.files],
                "next": item.next,
            }
            for item in items
        ],
        "sources": {file.name: file.source for file in attachments},
        "timeline": [moment for run in runs for moment in _timeline(directory, run)],
        "toolVersion": VERSION,
    }


def _times(runs: Sequence[Run], attachments: Sequence[EvidenceFile]) -> tuple[str | None, str | None]:
    """Of the runs; without any, of the first and the last recorded command."""
    if runs:
        return runs[0].started_at, runs[-1].ended_at
    known = [json.loads(file.text) for file in attachments if file.name.endswith(".json")]
    begun = [str(document["startedAt"]) for document in known if "startedAt" in document]
    ended = [str(document["endedAt"]) for document in known if document.get("endedAt")]
    return min(begun, default=None), max(ended, default=None)


def _result(subject: EvidenceSubject, directory: Path) -> str:
    if subject.rollback is not None:
        back = subject.rollback
        return f"rolled back to {back.target_tag}: {_outcome(directory, back)}"
    if subject.rollout is not None:
        return _outcome(directory, subject.rollout)
    return "released by hand; see the verification"


def _outcome(directory: Path, run: Run) -> str:
    progress = Runs(directory).progress(run)
    if progress.exit_code is None:
        return progress.condition
    code = progress.exit_code
    return f"{progress.result or progress.condition} (exit code {code})"


def _timeline(directory: Path, run: Run) -> list[dict[str, str]]:
    entries = journal.read(directory / "runs" / run.id / journal.NAME)
    return [
        {"at": entry.at, "run": run.kind, "kind": entry.kind, "said": entry.text or entry.step} for entry in entries
    ]


def _revision(revision: Revision) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(revision)
    return found


def _last_look(files: dict[str, str], sweep: Sweep) -> None:
    for name, text in files.items():
        if found := sweep.found_in(text):
            raise Refused(
                ExitCode.INCONCLUSIVE, f"{name}: still holds the value of {', '.join(found)}; nothing was written"
            )
