"""The runs of a home, `<home>/runs/<run-id>/`: run.json says what one was for, journal.jsonl what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release import journal
from uniassist.release.files import make_directory, sync_directory, write_whole
from uniassist.release.journal import Entry
from uniassist.release.steps import now, stamp

RunKind = Literal["rollout", "rollback"]
Condition = Literal["under way", "stopped", "finished"]
RUN = "run.json"
_CLOSING = ("done", "rolled back", "aborted", "superseded")


class Run(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`target` and `previous` are ids of kept releases, `target_tag` and `previous_tag` their revisions.

    `previous` is what a rollout would roll back to, and what a rollback rolls back from; None at a first release.
    `trigger` and `first_failed_at`: of a rollback that a watcher began, its reason and the first failing probe's
    time. `exit_code` and `ended_at` are there once it has ended, also one that can still be resumed.
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
    ended_at: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Progress:
    """What a journal says. `done`: steps whose effect was seen to the end; `failed`: reasons by step.

    `doubtful` are steps that were begun, and nobody knows whether they were done. `condition`: "under way" without
    an end (killed, unless its process still holds the lock), "stopped" when it ended and only resume, rollback or
    abort go on, "finished".
    """

    condition: Condition
    done: frozenset[str]
    doubtful: tuple[str, ...]
    failed: dict[str, str]
    result: str | None
    exit_code: int | None


def progress_of(entries: Iterable[Entry]) -> Progress:
    """Read a journal."""
    open_steps: dict[str, None] = {}
    done: set[str] = set()
    failed: dict[str, str] = {}
    end: Entry | None = None
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
    return Progress(condition, frozenset(done), tuple(open_steps), failed, result, code)


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
            run = msgspec.convert(
                {"id": run_id, "kind": kind, "targetTag": tag, "startedAt": now()} | _camel(facts), Run
            )
            self.write(run)
            return run
        raise StartError(f"{self.directory}: a thousand runs named {name}")

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
        return sorted(wanted, key=lambda run: run.started_at)

    def last(self, environment: str) -> Run | None:
        found = self.all(environment)
        return found[-1] if found else None

    def progress(self, run: Run) -> Progress:
        return progress_of(journal.read(self.folder(run.id) / journal.NAME))


def plain(tag: str) -> str:
    """A tag as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", tag)


def _camel(facts: dict[str, object]) -> dict[str, object]:
    names = dict(zip(Run.__struct_fields__, Run.__struct_encode_fields__, strict=True))
    return {names[name]: value for name, value in facts.items()}
