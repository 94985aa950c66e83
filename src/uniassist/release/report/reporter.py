"""Who is told what the release tooling does. The command line's screen is one; tests have others."""

from __future__ import annotations

from typing import Protocol

from uniassist.release.report.masking import Masker


class ReleaseReporter(Protocol):
    """Shows lines, and keeps them: they become a run's evidence.

    masker: takes the environment's secrets out of them.
    lines: the finished ones, as they were shown.
    """

    masker: Masker
    lines: list[str]

    def say(self, line: str) -> None:
        """A finished line."""
        ...

    def began(self, line: str) -> None:
        """What is under way, for a terminal; it isn't kept."""
        ...

    def ring(self) -> None:
        """Somebody should look."""
        ...

    def anew(self) -> ReleaseReporter:
        """Another one for the same eyes, with nothing said yet: for a command within a command."""
        ...

    def unseen(self) -> ReleaseReporter:
        """Another one that only keeps lines."""
        ...
