"""The environment that a release command works on, and how each of them speaks and ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from uniassist.cli.copyable import copyable
from uniassist.errors import SettingsError, StartError
from uniassist.release.candidate import EnvSet
from uniassist.release.env_file import digest, is_deployed, read_env_file
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import Interrupted
from uniassist.release.masking import Masker
from uniassist.release.records import DEFAULT_DIRECTORY, Records
from uniassist.settings import Reader
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES

Env = Annotated[str, typer.Option("--env", help="Which environment: staging or prod.")]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="Its variables; they win over those of the shell."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts; lines go to stderr.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and touch nothing.")]
Rev = Annotated[str | None, typer.Option("--rev", metavar="TAG", help="The revision: a tag of this checkout.")]
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Where records are kept; default .uniassist/release."),
]


@dataclass(frozen=True)
class Environment:
    """`values` are the shell's variables, with the file's over them."""

    name: str
    values: Mapping[str, str]
    file: Path | None
    mask: Masker
    names: frozenset[str] = frozenset(VARIABLES)  # of the variables that belong to it

    @classmethod
    def load(cls, name: str, file: Path | None) -> Environment:
        """SettingsError names the line of the file or the variable at fault."""
        if name not in ("staging", "prod"):
            raise SettingsError(f"--env: expected staging or prod, got {name!r}")
        values = dict(os.environ)
        if file is not None:
            values |= read_env_file(file)
        values.setdefault("UNIASSIST_ENV", name)
        secret = [variable for variable in VARIABLES.values() if variable.secret]
        mask = Masker(
            [
                *(values.get(variable.name, "") for variable in secret if variable.kind != "url"),
                *(value for name, value in values.items() if name.startswith(PROVIDER_TOKEN_PREFIX)),
            ],
            [values.get(variable.name, "") for variable in secret if variable.kind == "url"],
        )
        own = read_env_file(file) if file is not None else {}
        tokens = {name for name in values if name.startswith(PROVIDER_TOKEN_PREFIX)}
        return cls(name, values, file, mask, frozenset({*VARIABLES, *own, *tokens}))

    def reader(self) -> Reader:
        return Reader(self.values)

    @property
    def env_digest(self) -> str:
        """Of the env set that services get: the table's variables, and whatever else the file names."""
        return digest(self.values, dict.fromkeys(self.names))

    @property
    def env_set(self) -> EnvSet:
        """As it is kept with a release."""
        own = {name: self.values[name] for name in sorted(self.names) if self.values.get(name, "").strip()}
        deployed = {name: value for name, value in own.items() if is_deployed(name)}
        verifying = {name: value for name, value in own.items() if name.startswith("STAGING_")}
        return EnvSet(deployed, verifying, self.env_digest)

    @property
    def is_prod(self) -> bool:
        return "prod" in (self.name, self.values.get("UNIASSIST_ENV"))


@dataclass
class Screen:
    """Finished lines to stdout (stderr beside --json), masked; what is under way only on a terminal."""

    mask: Masker
    as_json: bool
    lines: list[str] = field(default_factory=list)
    out: Any = None

    def say(self, line: str) -> None:
        masked = self.mask(copyable(line))
        self.lines.append(masked)
        self._clear()
        print(masked, file=self._out, flush=True)

    def began(self, line: str) -> None:
        if self._is_live:
            width = shutil.get_terminal_size().columns
            self._clear()
            print(self.mask(line)[: width - 1], end="", file=self._out, flush=True)

    def ring(self) -> None:
        """The terminal's bell."""
        if self._is_live:
            print("\a", end="", file=self._out, flush=True)

    def document(self, document: Mapping[str, Any]) -> None:
        if self.as_json:
            print(json.dumps(self.mask.document(dict(document)), ensure_ascii=False), flush=True)

    @property
    def _out(self) -> Any:
        return self.out or (sys.stderr if self.as_json else sys.stdout)

    @property
    def _is_live(self) -> bool:
        return bool(self._out.isatty())

    def _clear(self) -> None:
        if self._is_live:
            print("\r\x1b[K", end="", file=self._out)


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
    except KeyboardInterrupt:
        raise _ended("interrupted; nothing was begun", ExitCode.INTERRUPTED) from None
    except Interrupted:
        raise _ended("interrupted; what it had started is stopped and taken away", ExitCode.INTERRUPTED) from None


def records_in(state_dir: Path | None) -> Records:
    return Records(state_dir or DEFAULT_DIRECTORY)


def keep(screen: Screen, records: Records, document: dict[str, Any], commit: str | None, **known: Any) -> None:
    """The run's evidence, and with a commit and success what is known of that from now on.

    That it can't be kept is said, and changes nothing about what was found.
    """
    command = str(document["command"]).split()[-1]
    try:
        path = records.keep_run(command, screen.mask.document(document), screen.lines)
        if commit is not None and document["exitCode"] != 0:
            records.forget(commit, command)  # the last word counts
        elif commit is not None:
            records.know(commit, **{command: {"at": document["endedAt"], "run": path.name, **known}})
        screen.say(f"record: {path}")
    except StartError as error:
        screen.say(f"NO record: {error}")


def ended_with(code: int) -> typer.Exit:
    return typer.Exit(int(code))


def _ended(message: str, code: ExitCode) -> typer.Exit:
    print(f"uniassist: {copyable(message)}", file=sys.stderr, flush=True)
    return ended_with(code)
