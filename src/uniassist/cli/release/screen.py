"""What a release command says and how it ends: lines, one JSON document, an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import typer

from uniassist import VERSION, terminal
from uniassist.cli.copyable import copyable
from uniassist.cli.silence import Silence
from uniassist.errors import ServerFault, SettingsError, StartError
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import Interrupted
from uniassist.release.records.runs import Run
from uniassist.release.report.masking import Masker
from uniassist.release.report.place import place
from uniassist.release.walk.site import Site


@dataclass
class Screen:
    """The reporter of a command line: finished lines to stdout, and what is under way, all masked.

    as_json: lines go to stderr, and one document to stdout.
    is_seen: False: lines are only kept.
    is_within: of a command within a command, which goes on by itself: what would come next is only kept.

    `with` it: from its beginning to its end something is under way, and said to be.
    """

    masker: Masker
    as_json: bool
    lines: list[str] = field(default_factory=list)
    is_seen: bool = True
    is_within: bool = False
    _silence: Silence | None = None

    def __post_init__(self) -> None:
        if self.is_seen and self._silence is None:
            self._silence = Silence(self._out, is_live=self._is_live)

    def __enter__(self) -> Self:
        self.began("looking…")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.quiet()

    def say(self, line: str) -> None:
        masked = self.masker.mask(copyable(line))
        self.lines.append(masked)
        if self._silence is not None and not (self.is_within and masked.startswith("next: ")):
            self._silence.say(masked)

    def began(self, line: str) -> None:
        if self._silence is not None:
            self._silence.began(self.masker.mask(line))

    def quiet(self) -> None:
        """Nothing is under way: before somebody else writes to the terminal."""
        if self._silence is not None:
            self._silence.end()

    def ring(self) -> None:
        if self._is_live:
            print("\a", end="", file=terminal.raw(self._out), flush=True)

    def anew(self) -> Screen:
        return Screen(self.masker, self.as_json, is_seen=self.is_seen, is_within=True, _silence=self._silence)

    def unseen(self) -> Screen:
        return Screen(self.masker, self.as_json, is_seen=False)

    def document(self, document: Mapping[str, Any]) -> None:
        """For scripts; nothing without --json."""
        self.quiet()
        if self.as_json:
            print(json.dumps(self.masker.mask_document(dict(document)), ensure_ascii=False), flush=True)

    def end_of(self, site: Site, command: str, run: Run | None, code: ExitCode, **more: object) -> None:
        """The last line and the document of a command that changes an environment; its journal is the evidence."""
        if run is not None:
            self.say(f"record: {place(site.home.runs.folder(run.id))}")
        self.document(
            {
                "command": command,
                "environment": site.environment.name,
                "exitCode": int(code),
                "run": run.id if run else None,
                "toolVersion": VERSION,
                **more,
            }
        )

    @property
    def _out(self) -> Any:
        return sys.stderr if self.as_json else sys.stdout

    @property
    def _is_live(self) -> bool:
        return self.is_seen and bool(self._out.isatty())


@contextmanager
def ending(mask: Callable[[str], str] = str) -> Iterator[None]:
    """Expected errors as one line and the documented exit code; anything else is a bug, with its trace."""
    try:
        yield
    except Refused as refused:
        raise _ended(mask(str(refused)), refused.code) from None
    except SettingsError as error:
        raise _ended(mask(str(error)), ExitCode.USAGE) from None
    except StartError as error:
        raise _ended(mask(str(error)), ExitCode.PREFLIGHT) from None
    except ServerFault as fault:
        raise _ended(mask(f"{fault.variable}: {fault}"), ExitCode.PREFLIGHT) from None
    except KeyboardInterrupt:
        raise _ended("interrupted; nothing was begun", ExitCode.INTERRUPTED) from None
    except Interrupted:
        raise _ended("interrupted; what it had started is stopped and taken away", ExitCode.INTERRUPTED) from None


def ended_with(code: int) -> typer.Exit:
    return typer.Exit(int(code))


def _ended(message: str, code: ExitCode) -> typer.Exit:
    print(f"uniassist: {copyable(message)}", file=sys.stderr, flush=True)
    return ended_with(code)
