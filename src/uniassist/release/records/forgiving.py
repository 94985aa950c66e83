"""Records that can't be written where they belong: a rollback goes on with what it can write, and says so."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


class Forgiving:
    """What one rollback lost, and where the rest of it is.

    say: gets each loss once.
    lost: in a sentence each; empty: everything is where it belongs.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._elsewhere: Path | None = None
        self.lost: list[str] = []

    def lose(self, what: object) -> None:
        said = str(what)
        if said not in self.lost:
            self.lost.append(said)
            self._say(f"NOT recorded: {said}; the rollback goes on")

    def elsewhere(self) -> Path | None:
        """A folder on another disk, perhaps; None where even that can't be had."""
        if self._elsewhere is None:
            try:
                self._elsewhere = Path(tempfile.mkdtemp(prefix="uniassist-rollback-"))
            except OSError:
                return None
        return self._elsewhere

    def summary(self) -> str:
        """For whoever looks for the record later."""
        where = f"; what could be kept of it is in {self._elsewhere}" if self._elsewhere else "; it was shown only"
        return "; ".join(self.lost) + where
