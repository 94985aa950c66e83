"""The file with the operator's own commands: one TOML table for each verb. ops/deploy/drivers/ has examples."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from uniassist.errors import SettingsError

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Verb(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`run` is a script for `sh -eu`; it has `deadline_seconds` to end."""

    run: Annotated[str, msgspec.Meta(min_length=1)]
    deadline_seconds: _Seconds = 120.0


class ObserveVerb(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A Verb that is asked often."""

    run: Annotated[str, msgspec.Meta(min_length=1)]
    deadline_seconds: Annotated[float, msgspec.Meta(gt=0, le=10)] = 3.0


class ExecFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    deploy: Verb
    stop: Verb
    observe: ObserveVerb
    revert: Verb
    prepare: Verb | None = None


def read_exec_file(path: Path) -> ExecFile:
    """SettingsError that names the key and what was expected."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"--driver-file: can't read {path}: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise SettingsError(f"--driver-file: {path}: {error}") from None
    try:
        return msgspec.convert(document, ExecFile)
    except msgspec.ValidationError as error:
        raise SettingsError(f"--driver-file: {path}: {error}") from None
