"""A release's evidence as one document, and as the files of a bundle, none of which holds a secret."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from uniassist import VERSION
from uniassist.release import evidence_page, journal
from uniassist.release.evidence_bundle import DOCUMENT, PAGE
from uniassist.release.evidence_items import Attachment, Collection, Item
from uniassist.release.evidence_subject import Subject
from uniassist.release.evidence_sweep import Sweep
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.incident import Revision
from uniassist.release.runs import Run, Runs
from uniassist.release.steps import now


@dataclass(frozen=True)
class Evidence:
    """`document` is what evidence.json says; `files` the bundle's texts by name."""

    document: dict[str, Any]
    files: dict[str, str]

    @property
    def is_complete(self) -> bool:
        return bool(self.document["complete"])


def gather(subject: Subject, directory: Path, reports: Path, sweep: Sweep) -> Evidence:
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
    files[PAGE], _ = sweep.redact(evidence_page.render(document))
    _last_look(files, sweep)
    return Evidence(document, files)


def behind(document: dict[str, Any], subject: Subject, directory: Path, reports: Path) -> list[str]:
    """Files of a bundle that something newer is recorded for, or that nothing is recorded for any more."""
    collection = Collection(subject, directory, reports)
    current = {file.name: file.source for item in collection.items() for file in item.files}
    current |= {file.name: file.source for file in collection.others()}
    built = document.get("sources", {})
    return sorted(name for name in built.keys() | current.keys() if built.get(name) != current.get(name))


def _document(
    subject: Subject, directory: Path, items: Sequence[Item], attachments: Sequence[Attachment]
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


def _times(runs: Sequence[Run], attachments: Sequence[Attachment]) -> tuple[str | None, str | None]:
    """Of the runs; without any, of the first and the last recorded command."""
    if runs:
        return runs[0].started_at, runs[-1].ended_at
    known = [json.loads(file.text) for file in attachments if file.name.endswith(".json")]
    begun = [str(document["startedAt"]) for document in known if "startedAt" in document]
    ended = [str(document["endedAt"]) for document in known if document.get("endedAt")]
    return min(begun, default=None), max(ended, default=None)


def _result(subject: Subject, directory: Path) -> str:
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
