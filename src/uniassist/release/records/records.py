"""What the release tooling remembers between its commands, in a directory of its own: `.uniassist/release`.

pins.json holds each tag's commit as first seen, `commits/` what is known of a commit, `runs/` what each run said.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from uniassist.errors import StartError
from uniassist.release.clock import stamp
from uniassist.release.durable_files import write_whole
from uniassist.release.records import journal
from uniassist.release.records.order import next_number
from uniassist.release.records.runs import Runs

DEFAULT_DIRECTORY = Path(".uniassist") / "release"


class Records:
    """Texts arrive masked: nothing here knows a secret."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def pin(self, tag: str, commit: str) -> str:
        """The commit that `tag` was first seen at, which is `commit` the first time."""
        path = self.directory / "pins.json"
        pins: dict[str, str] = self._read(path)
        if tag not in pins:
            write_whole(path, json.dumps(pins | {tag: commit}, indent=2, sort_keys=True))
        return pins.get(tag, commit)

    def pins(self) -> dict[str, str]:
        """Each tag's commit, as first seen."""
        return self._read(self.directory / "pins.json")

    def of_commit(self, commit: str) -> dict[str, Any]:
        """What is known: `wheelSha256`, `gate`, `verified` and so on, as far as it is."""
        return self._read(self._commit(commit))

    def know(self, commit: str, **found: Any) -> None:
        """Keep what was found out about a commit."""
        known = self.of_commit(commit) | found
        write_whole(self._commit(commit), json.dumps(known, ensure_ascii=False, indent=2))

    def forget(self, commit: str, what: str) -> None:
        """What was known no longer holds."""
        known = self.of_commit(commit)
        if known.pop(what, None) is not None:
            write_whole(self._commit(commit), json.dumps(known, ensure_ascii=False, indent=2))

    def last_verified(self, besides: str) -> str | None:
        """The commit that was verified last, but for `besides`: what one would roll back to."""
        found = [
            (str(known["verify"]["at"]), path.stem)
            for path in (self.directory / "commits").glob("*.json")
            if path.stem != besides and "verify" in (known := self._read(path))
        ]
        return max(found)[1] if found else None

    def keep_run(self, command: str, document: dict[str, Any], lines: list[str]) -> Path:
        """One run's evidence: the document, and beside it the lines as they were shown. Returns the log's path.

        It gets its place among all records and runs, and which run was the last, how far.
        """
        document = document | {"order": next_number(self.directory), **self._last_run(document.get("environment"))}
        path = self.directory / "runs" / f"{stamp()}-{command}-{os.getpid()}.log"
        write_whole(path, "\n".join(lines) + "\n")
        write_whole(path.with_suffix(".json"), json.dumps(document, ensure_ascii=False, indent=2))
        return path

    def _last_run(self, environment: str | None) -> dict[str, Any]:
        """The run that the record was made after, or in, and the last entry of its journal then."""
        runs = Runs(self.directory)
        last = runs.last(environment) if environment is not None else None
        if last is None:
            return {"run": None, "runSeq": None}
        return {"run": last.id, "runSeq": len(journal.read(runs.folder(last.id) / journal.NAME))}

    def _commit(self, commit: str) -> Path:
        return self.directory / "commits" / f"{commit}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StartError(f"{path} can't be read: {error}") from None
