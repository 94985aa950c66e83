"""Which system a command talks to: by URL, by an env file, the one of `up`, or what was released on this host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from uniassist.errors import SettingsError
from uniassist.release.env.file import read_env_file
from uniassist.release.env.services import all_urls
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import env_of, verify_env_of
from uniassist.release.records.records import DEFAULT_DIRECTORY
from uniassist.release.report.place import place
from uniassist.settings.secret_files import laid_over

SystemEnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="The env file of a released system: that one is meant."),
]


@dataclass(frozen=True)
class ReleasedSystem:
    """A system that was released, or is to be.

    said: which it is, for a person.
    values: its env set; of an env file with the shell's variables below it.
    urls: by service, in rollout order.
    """

    said: str
    values: Mapping[str, str]
    urls: Mapping[str, str]


def of_file(path: Path) -> ReleasedSystem:
    """SettingsError that names the line or the variable at fault."""
    values = laid_over(os.environ, read_env_file(path))
    return ReleasedSystem(f"the system of {path}", values, all_urls(values, "local"))


def released_here(state_dir: Path | None = None) -> ReleasedSystem | None:
    """What was rolled out from a directory of records; None where nothing was. Staging where there are several."""
    for directory in _candidates(state_dir):
        found = (path.parent.name for path in sorted(directory.glob("environments/*/deployed.json")))
        for environment in sorted(found, key=lambda name: name != "staging"):
            if (system := _of_home(Home(directory, environment))) is not None:
                return system
    return None


def _candidates(state_dir: Path | None) -> list[Path]:
    """`--state-dir` is that of `up`, with the records below it, or that of the records themselves."""
    return [DEFAULT_DIRECTORY] if state_dir is None else [state_dir, state_dir / DEFAULT_DIRECTORY.name]


def _of_home(home: Home) -> ReleasedSystem | None:
    release, last = home.kept.find(home.deployed().current or "nothing"), home.runs.last(home.environment)
    if release is None:
        return None
    values = {**env_of(release), **verify_env_of(release)}
    urls = all_urls(values, last.driver if last is not None else "local")
    return ReleasedSystem(
        f"the release {release.tag} of {home.environment}, in {place(home.directory)}", values, urls
    )


def url_of(system: ReleasedSystem, service: str) -> str:
    """SettingsError where its address isn't known."""
    if service not in system.urls:
        raise SettingsError(f"{system.said}: the URL of {service} isn't known; give --url")
    return system.urls[service]
