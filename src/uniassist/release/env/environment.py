"""The environment that is released: its variables, its env set and that one's digest, what masks its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uniassist.errors import SettingsError
from uniassist.release.env.file import digest, is_deployed, read_env_file
from uniassist.release.report.masking import Masker
from uniassist.settings import Reader
from uniassist.settings.masking import masker_of
from uniassist.settings.secret_files import laid_over, with_files_read
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES


@dataclass(frozen=True)
class EnvSet:
    """What is kept with a release.

    deployed: the variables that services get.
    verifying: those that only the verification reads.
    digest: of `deployed`; tells two env sets apart.
    file: the env file that it was read from, as it was given; None: the shell's variables.
    """

    deployed: Mapping[str, str]
    verifying: Mapping[str, str]
    digest: str
    file: str | None = None


@dataclass(frozen=True)
class Environment:
    """One environment as a command was given it.

    name: staging or prod.
    values: the shell's variables, with the file's over them.
    file: the env file, where one was given.
    names: of the variables that belong to the environment, and not to the shell alone.
    """

    name: str
    values: Mapping[str, str]
    file: Path | None
    masker: Masker
    names: frozenset[str] = frozenset(VARIABLES)

    @classmethod
    def load(cls, name: str, file: Path | None) -> Environment:
        """SettingsError names the line of the file or the variable at fault."""
        if name not in ("staging", "prod"):
            raise SettingsError(f"--env: expected staging or prod, got {name!r}")
        filed = read_env_file(file) if file is not None else {}
        values = {"UNIASSIST_ENV": name, **laid_over(with_files_read(os.environ), filed)}
        tokens = {variable for variable in values if variable.startswith(PROVIDER_TOKEN_PREFIX)}
        return cls(name, values, file, masker_of(values), frozenset({*VARIABLES, *filed, *tokens}))

    def reader(self) -> Reader:
        return Reader(self.values)

    @property
    def env_digest(self) -> str:
        """Of the env set that services get: the table's variables, and whatever else the file names."""
        return digest(self.values, dict.fromkeys(self.names))

    @property
    def env_set(self) -> EnvSet:
        """Its env set as it is kept with a release: all that have a value."""
        own = {name: self.values[name] for name in sorted(self.names) if self.values.get(name, "").strip()}
        deployed = {name: value for name, value in own.items() if is_deployed(name)}
        verifying = {name: value for name, value in own.items() if name.startswith("STAGING_")}
        return EnvSet(deployed, verifying, self.env_digest, self.file_name)

    @property
    def file_name(self) -> str | None:
        """The env file as it was given."""
        return str(self.file) if self.file is not None else None

    @property
    def is_prod(self) -> bool:
        return "prod" in (self.name, self.values.get("UNIASSIST_ENV"))
