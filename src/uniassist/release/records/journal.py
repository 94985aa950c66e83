"""A run's journal: what was meant, what was done, what was seen, each on the disk before the next begins.

`<home>/runs/<run-id>/journal.jsonl`, one JSON object a line, only ever added to:

    {"at": "2026-11-24T07:00:00.000Z", "seq": 7, "kind": "intent", "step": "gateway", "service": "gateway",
     "text": "gateway v41 → v42", "found": {"verb": "deploy", "release": "v42-1a2b3c4d"}}

`seq` counts from 1 without gaps. `kind`:

- intent: `step` is about to be done. Whoever finds it as the last word of a step has to look what became of it.
- effect: the step's verb returned (`found.seconds`), or it couldn't (`found.failed`, the reason).
- observation: what was seen after it, `found.observed`: a driver's `Observed`, with camelCase names; with
  `found.failed` where that isn't what was expected. A step is done with its observation.
- note: for people: who resumed, that it was interrupted, which budget was overrun.
- end: nothing more follows but a resumption; `found.exitCode`, `found.result`.

Secrets are masked before anything is written.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.durable_files import make_directory, sync_directory, write_anyhow
from uniassist.release.records.forgiving import Forgiving
from uniassist.release.report.masking import Masker

Kind = Literal["intent", "effect", "observation", "note", "end"]
NAME = "journal.jsonl"


class JournalEntry(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One line. `service` where the step is about one; `text` for people, `found` for programs."""

    at: str
    seq: int
    kind: Kind
    step: str
    service: str | None = None
    text: str = ""
    found: dict[str, Any] = {}


class Journal:
    """Opened by whoever holds the environment's lock: there is one writer."""

    def __init__(self, folder: Path, masker: Masker, forgiving: Forgiving | None = None) -> None:
        """`forgiving`: what can't be written here is written elsewhere, or only kept in mind."""
        self.path = folder / NAME
        self._masker = masker
        self._forgiving = forgiving
        try:
            self.entries = read(self.path)
        except StartError as error:
            if forgiving is None:
                raise
            forgiving.lose(error)
            self.entries = []

    def append(
        self,
        kind: Kind,
        step: str,
        *,
        service: str | None = None,
        text: str = "",
        found: dict[str, Any] | None = None,
    ) -> JournalEntry:
        """On the disk when it returns. StartError when it can't be written: then nothing may be done either.

        A forgiving journal says it instead.
        """
        number, masked = len(self.entries) + 1, self._masker.mask_document(found or {})
        entry = JournalEntry(now(), number, kind, step, service, self._masker.mask(text), masked)
        try:
            self._write(msgspec.json.encode(entry) + b"\n")
        except StartError as error:
            if self._forgiving is None:
                raise
            self._forgiving.lose(error)
            self._go_elsewhere(self._forgiving, entry)
        self.entries.append(entry)
        return entry

    def bring_home(self, folder: Path) -> None:
        """What went elsewhere also where it belongs, if there is room by now; a run must not look cut off."""
        if self.path.parent == folder or not folder.is_dir():
            return
        lines = "".join(msgspec.json.encode(entry).decode() + "\n" for entry in self.entries)
        with contextlib.suppress(StartError):
            write_anyhow(folder / NAME, lines)

    def _go_elsewhere(self, forgiving: Forgiving, entry: JournalEntry) -> None:
        """All there is so far, so that it can be read by itself."""
        folder = forgiving.elsewhere()
        if folder is None or folder == self.path.parent:
            return
        self.path = folder / f"{self.path.parent.name}.{NAME}"
        lines = b"".join(msgspec.json.encode(each) + b"\n" for each in (*self.entries, entry))
        try:
            self._write(lines)
        except StartError as error:
            forgiving.lose(error)

    def _write(self, line: bytes) -> None:
        try:
            is_new = not self.path.exists()
            make_directory(self.path.parent)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as out:
                out.truncate(_whole(out.read()))  # what a killed writer left half written was never said
                out.seek(0, os.SEEK_END)
                out.write(line)
                out.flush()
                os.fsync(out.fileno())
            if is_new:
                sync_directory(self.path.parent)
                sync_directory(self.path.parent.parent)
        except OSError as error:
            raise StartError(f"{self.path} can't be written: {error.strerror}") from None


def read(path: Path) -> list[JournalEntry]:
    """Its entries; none without such a file. A torn last line doesn't count, any other damage is StartError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from None
    return parse(content, str(path))


def parse(content: bytes, name: str = "the journal") -> list[JournalEntry]:
    """The entries of a journal's bytes, but for a line without its end."""
    entries: list[JournalEntry] = []
    for number, line in enumerate(content[: _whole(content)].splitlines(), start=1):
        try:
            entry = msgspec.json.decode(line, type=JournalEntry)
        except msgspec.DecodeError as error:
            raise StartError(f"{name}, line {number}: no entry of a journal: {error}") from None
        if entry.seq != number:
            raise StartError(f"{name}, line {number}: expected seq {number}, got {entry.seq}")
        entries.append(entry)
    return entries


def _whole(content: bytes) -> int:
    """The length of its whole lines."""
    return content.rfind(b"\n") + 1
