"""The runs of a home, `<home>/runs/<run-id>/`: run.json says what one was for, journal.jsonl what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now, stamp
from uniassist.release.durable_files import make_directory, sync_directory, write_whole
from uniassist.release.records import journal
from uniassist.release.records.journal import JournalEntry
from uniassist.release.records.order import Moment, next_number

RunKind = Literal["rollout", "rollback"]
Condition = Literal["under way", "stopped", "finished"]
RUN = "run.json"
_CLOSING = ("done", "rolled back", "aborted", "superseded")


class Run(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One rollout or rollback.

    target, previous: ids of kept releases; `target_tag` and `previous_tag` are their revisions.
    previous: what a rollout would roll back to, and what a rollback rolls back from; None at a first release.
    trigger: why a watcher began this rollback.
    first_failed_at: when the first probe failed that led to this rollback.
    number: its place among all runs and records of the home; None: of an earlier version of the tool.
    database: which one the services use, by its own identity; None: it couldn't be asked.
    ended_at, exit_code: once it has ended, also when it can still be resumed.
    """

    id: str
    kind: RunKind
    environment: str
    driver: str
    target: str
    target_tag: str
    who: str
    why: str
    started_at: str
    previous: str | None = None
    previous_tag: str | None = None
    trigger: str | None = None
    first_failed_at: str | None = None
    number: int | None = None
    database: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None

    @property
    def moment(self) -> Moment:
        return Moment(self.number, self.started_at)


@dataclass(frozen=True)
class RunProgress:
    """What a journal says.

    condition: "under way" without an end (killed, unless its process still holds the lock); "stopped" when it ended
        and only resume, rollback or abort go on; "finished".
    done: steps whose effect was seen to the end.
    doubtful: steps that were begun, and nobody knows whether they were done.
    failed: reasons by step.
    result, exit_code: of its end; None without one.
    """

    condition: Condition
    done: frozenset[str]
    doubtful: tuple[str, ...]
    failed: dict[str, str]
    result: str | None
    exit_code: int | None


def progress_of(entries: Iterable[JournalEntry]) -> RunProgress:
    """Read a journal."""
    open_steps: dict[str, None] = {}
    done: set[str] = set()
    failed: dict[str, str] = {}
    end: JournalEntry | None = None
    for entry in entries:
        end = entry if entry.kind == "end" else None if entry.kind != "note" else end
        if entry.kind == "intent":
            open_steps[entry.step] = None
            failed.pop(entry.step, None)
            done.discard(entry.step)
        elif entry.kind in ("effect", "observation") and "failed" in entry.found:
            open_steps.pop(entry.step, None)
            done.discard(entry.step)
            failed[entry.step] = str(entry.found["failed"])
        elif entry.kind == "observation":
            open_steps.pop(entry.step, None)
            failed.pop(entry.step, None)
            done.add(entry.step)
    result = str(end.found.get("result")) if end else None
    condition: Condition = "under way" if end is None else "finished" if result in _CLOSING else "stopped"
    code = end.found.get("exitCode") if end else None
    return RunProgress(condition, frozenset(done), tuple(open_steps), failed, result, code)


class Runs:
    def __init__(self, home: Path) -> None:
        self.directory = home / "runs"

    def folder(self, run_id: str) -> Path:
        return self.directory / run_id

    def begin(self, kind: RunKind, tag: str, **facts: object) -> Run:
        """A new run's folder and run.json, under an id that sorts by time. `facts` are Run's other fields."""
        name = f"{stamp()}-{kind}-{plain(tag)}"
        for count in range(1, 1000):
            run_id = name if count == 1 else f"{name}-{count}"
            make_directory(self.directory)
            try:
                self.folder(run_id).mkdir(mode=0o700)
            except FileExistsError:
                continue
            sync_directory(self.directory)
            number = next_number(self.directory.parent)
            run = msgspec.structs.replace(self.unwritten(kind, tag, run_id, **facts), number=number)
            self.write(run)
            return run
        raise StartError(f"{self.directory}: a thousand runs named {name}")

    def unwritten(self, kind: RunKind, tag: str, run_id: str | None = None, **facts: object) -> Run:
        """The same without its folder: of a rollback for which there is no room."""
        name = run_id or f"{stamp()}-{kind}-{plain(tag)}"
        known = {"id": name, "kind": kind, "targetTag": tag, "startedAt": now()}
        return msgspec.convert(known | _camel(facts), Run)

    def write(self, run: Run) -> None:
        write_whole(self.folder(run.id) / RUN, msgspec.json.format(msgspec.json.encode(run)).decode() + "\n")

    def read(self, run_id: str) -> Run:
        """StartError when there is none, or it is damaged."""
        path = self.folder(run_id) / RUN
        try:
            return msgspec.json.decode(path.read_bytes(), type=Run)
        except FileNotFoundError:
            raise StartError(f"{run_id}: no such run in {self.directory}") from None
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(f"{path} can't be read: {error}") from None

    def all(self, environment: str | None) -> list[Run]:
        """Oldest first; None: of all environments. A folder without run.json: killed before it began anything."""
        found = (self.read(path.parent.name) for path in sorted(self.directory.glob(f"*/{RUN}")))
        wanted = (run for run in found if environment in (None, run.environment))
        # Those without a number were before those with one, whatever the clock said.
        return sorted(wanted, key=lambda run: (run.number or 0, run.started_at))

    def last(self, environment: str) -> Run | None:
        found = self.all(environment)
        return found[-1] if found else None

    def progress(self, run: Run) -> RunProgress:
        return progress_of(journal.read(self.folder(run.id) / journal.NAME))


def plain(tag: str) -> str:
    """A tag as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", tag)


def _camel(facts: dict[str, object]) -> dict[str, object]:
    names = dict(zip(Run.__struct_fields__, Run.__struct_encode_fields__, strict=True))
    return {names[name]: value for name, value in facts.items()}
