"""The release tool's records, read as files: who writes them says in `release/records` what they hold.

<home>/environments/<name>/deployed.json       services, current, verified
<home>/environments/<name>/watch/state.json    the watch that runs, or the last; trigger.json: what fired in it
<home>/runs/<run-id>/run.json, journal.jsonl   rollouts and rollbacks
<home>/runs/<stamp>-<command>-<pid>.json       reports: gate, verify, drill, watch, …
<home>/releases/<id>/release.json              kept releases
<home>/incidents/<run-id>.json                 notes of rollbacks; open until somebody gave a cause
<home>/evidence/<name>/                        bundles: evidence.json, SHA256SUMS, and the files that it names
<reports>/*-<stamp>-<mode>-<pid>.json          reports of drills

Nothing is believed of them but what is shown as text; what is damaged is named and passed over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 1024 * 1024
MOST_RUNS, MOST_REPORTS, MOST_ENTRIES, MOST_RELEASES = 10, 30, 500, 200
ROLLBACK_SECONDS = 15 * 60  # the runbook's, from the first failed probe
_CLOSING = ("done", "rolled back", "aborted", "superseded")


@dataclass
class Found:
    """What there is. `problems`: files that couldn't be read, by name."""

    environments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(home: Path, reports: Path | None = None) -> Found:
    """All that is shown of a home: the newest runs and reports, each bounded. Blocks: for a thread.

    `reports`: of drills; None, or not there: they aren't shown.
    """
    found = Found()
    if not home.is_dir():
        found.problems.append(f"{home.name}: no such directory here")
        return found
    for path in sorted(home.glob("releases/*/release.json"))[-MOST_RELEASES:]:
        document = _document(path, found)
        if document is not None:
            found.releases[path.parent.name] = document
    for path in sorted(home.glob("environments/*/"))[:10]:
        watch = path / "watch"
        found.environments.append(
            {
                "name": path.name,
                "deployed": _document(path / "deployed.json", found) or {},
                "watch": _document(watch / "state.json", found),
                "trigger": _document(watch / "trigger.json", found),
            }
        )
    for path in _newest(home.glob("runs/*/run.json"), MOST_RUNS):
        document = _document(path, found)
        if document is not None:
            found.runs.append(document | progress(_journal(path.parent / "journal.jsonl", found)))
    for path in _newest(home.glob("incidents/*.json"), MOST_RUNS):
        document = _document(path, found)
        if document is not None:
            found.incidents.append(document)
    for path in _newest(home.glob("runs/*.json"), MOST_REPORTS):
        document = _document(path, found)
        if document is not None:
            found.reports.append(document | {"file": path.name})
    found.reports += _drills(reports, found) if reports is not None else []
    found.reports.sort(key=lambda report: str(report.get("endedAt")), reverse=True)
    for path in _newest(home.glob("evidence/[!.]*/evidence.json"), MOST_RUNS):
        document = _document(path, found)
        if document is not None:
            found.evidence.append(document | {"folder": path.parent.name, "seal": _seal(path.parent)})
    return found


def evidence_file(home: Path, folder: str, name: str) -> str | None:
    """A file of a bundle as text, its beginning where it is long; None: there is none of that name."""
    path = home / "evidence" / folder / name
    if "/" in folder or "/" in name or folder.startswith(".") or name.startswith("."):
        return None
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return None


def _drills(reports: Path, found: Found) -> list[dict[str, Any]]:
    """Kept reports only: the latest is a copy of one."""
    kept = [path for path in reports.glob("*.json") if not path.stem.endswith("-latest")]
    read = [(path, _document(path, found)) for path in _newest(kept, MOST_RUNS)]
    return [
        document | {"command": "drill worker", "file": path.name}
        for path, document in read
        if document is not None and document.keys() >= {"mode", "startedAt", "endedAt", "result"}
    ]


def _seal(folder: Path) -> str | None:
    """The hash of the sums: what a ticket keeps of the bundle."""
    try:
        with (folder / "SHA256SUMS").open("rb") as file:
            return hashlib.sha256(file.read(LARGEST)).hexdigest()
    except OSError:
        return None


def progress(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What a journal says of its run: the entries, its condition, and the failures that still stand, by step."""
    failed: dict[str, str] = {}
    end: dict[str, Any] | None = None
    for entry in entries:
        kind, step, seen = entry.get("kind"), str(entry.get("step")), entry.get("found") or {}
        if kind == "end":
            end = seen
        elif kind != "note":
            end = None
        if kind == "intent":
            failed.pop(step, None)
        elif kind in ("effect", "observation"):
            if "failed" in seen:
                failed[step] = str(seen["failed"])
            elif kind == "observation":
                failed.pop(step, None)
    result = end.get("result") if end is not None else None
    condition = "under way" if end is None else "finished" if result in _CLOSING else "stopped"
    return {
        "journal": entries[-MOST_ENTRIES:],
        "condition": condition,
        "result": result,
        "failed": failed,
        "budgetSeconds": ROLLBACK_SECONDS,
    }


def next_command(found: Found) -> tuple[str, str]:
    """The one command to copy, and the safe alternative; as the files say, which see no service."""
    last = found.runs[0] if found.runs else None
    if last is not None and last["condition"] != "finished":
        return "uniassist release resume", "uniassist release rollback"
    for step in (found.reports[0].get("steps") or []) if found.reports else []:
        if isinstance(step, dict) and step.get("result") == "failed" and step.get("next"):
            return str(step["next"]), str(step.get("safe") or "uniassist release status")
    deployed = found.environments[0]["deployed"] if found.environments else {}
    current = deployed.get("current")
    if not current:
        return "uniassist release preflight", "uniassist release status"
    verified = {each.get("release") for each in deployed.get("verified") or [] if isinstance(each, dict)}
    if current not in verified:
        tag = found.releases.get(current, {}).get("tag", current)
        return f"uniassist release verify --rev {tag}", "uniassist release rollback"
    return "uniassist release status", "uniassist release status"


def _newest(paths: Iterable[Path], most: int) -> list[Path]:
    """By their names, which begin with when."""
    return sorted(paths, key=lambda path: str(path), reverse=True)[:most]


def _document(path: Path, found: Found) -> dict[str, Any] | None:
    raw = _text(path, found)
    if raw is None:
        return None
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        found.problems.append(f"{path.name} of {path.parent.name}: damaged")
        return None
    return document


def _journal(path: Path, found: Found) -> list[dict[str, Any]]:
    """Its entries but for a torn last line."""
    entries = list[dict[str, Any]]()
    for line in (_text(path, found) or "").split("\n")[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            found.problems.append(f"{path.name} of {path.parent.name}: a damaged line")
            break
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def _text(path: Path, found: Found) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        found.problems.append(f"{path.name} of {path.parent.name}: {error.strerror}")
        return None
    if len(raw) > LARGEST:
        found.problems.append(f"{path.name} of {path.parent.name}: larger than {LARGEST} bytes")
        return None
    return raw.decode("utf-8", "replace")
