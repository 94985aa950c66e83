"""Where the system is that a command talks to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli import system
from uniassist.cli.system import ReleasedSystem
from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory
from uniassist.errors import SettingsError, StartError
from uniassist.settings import Reader
from uniassist.web.auth.app_tokens import user_in

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", help="The state directory of `up`, or of a release; default .uniassist.", metavar="DIR"
    ),
]


@dataclass(frozen=True)
class Gateway:
    """A gateway to talk to, as a user of the app would.

    app_token: what its app authentication takes, where one is known; None: none is shown.
    user_claim: which claim of the token is the userId.
    """

    url: str
    app_token: str | None = None
    user_claim: str = "sub"

    @property
    def user_id(self) -> str | None:
        """Whose the token is; None: there is none, or none that says so."""
        return user_in(self.app_token, self.user_claim) if self.app_token else None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.app_token}"} if self.app_token else {}


def gateway(
    url: str | None, state_dir: Path | None, env_file: Path | None = None, app_token: str | None = None
) -> Gateway:
    """The first of: --url, --env-file, GATEWAY_URL, the system of `up`, what is released here, the default port.

    app_token: as it was given; else STAGING_APP_TOKEN of the system that was found, else the shell's.
    """
    shells = app_token or os.environ.get("STAGING_APP_TOKEN") or None
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"--url: expected a URL such as http://127.0.0.1:8787, got {url!r}")
        values = system.of_file(env_file).values if env_file is not None else {}
        return Gateway(url.rstrip("/"), app_token or values.get("STAGING_APP_TOKEN") or shells, _claim(values))
    if env_file is not None:
        return _of(system.of_file(env_file), app_token)
    if state_dir is None and os.environ.get("GATEWAY_URL"):
        return Gateway(Reader(os.environ).http_url("GATEWAY_URL"), shells, _claim({}))
    state = StateDirectory(state_dir or DEFAULT_DIRECTORY).read()
    if state is not None:
        return Gateway(
            next(service.url for service in state.services if service.name == "gateway"), shells, _claim({})
        )
    if (released := system.released_here(state_dir)) is not None:
        return _of(released, app_token)
    _refuse_where_nothing_is(state_dir)
    return Gateway(Reader(os.environ).http_url("GATEWAY_URL"), shells, _claim({}))


def _of(found: ReleasedSystem, app_token: str | None) -> Gateway:
    own = found.values.get("STAGING_APP_TOKEN") or os.environ.get("STAGING_APP_TOKEN") or None
    return Gateway(system.url_of(found, "gateway"), app_token or own, _claim(found.values))


def _claim(values: Mapping[str, str]) -> str:
    return Reader({**os.environ, **values}).text("UNIASSIST_APP_JWT_USER_CLAIM")


def _refuse_where_nothing_is(state_dir: Path | None) -> None:
    if state_dir is not None:
        raise StartError(f"nothing runs on {state_dir}; start it with: uniassist up --state-dir {state_dir}")


def database_url(state_dir: Path | None = None, env_file: Path | None = None) -> str:
    """The first of: --env-file, DATABASE_URL, the database of `up`, that of what is released here.

    With --state-dir: of what runs or is released there, and nothing else.
    """
    found = database_env(state_dir, env_file, say=lambda line: print(line, file=sys.stderr))
    return Reader(found).database_url().reveal()


def database_env(
    state_dir: Path | None = None, env_file: Path | None = None, say: Callable[[str], object] = str
) -> Mapping[str, str]:
    """The variables of the system whose database `database_url` says, with its streams'; REDIS_URL may be missing.

    say: is told which released system it is.
    """
    if env_file is not None:
        return system.of_file(env_file).values
    if state_dir is None and Reader(os.environ).optional("DATABASE_URL"):
        return os.environ
    state = StateDirectory(state_dir or DEFAULT_DIRECTORY).read()
    if state is not None:
        return {**os.environ, "DATABASE_URL": state.database_url, "REDIS_URL": state.redis_url}
    if (released := system.released_here(state_dir)) is not None:
        say(f"of {released.said}")
        return released.values
    _refuse_where_nothing_is(state_dir)
    raise SettingsError(
        "DATABASE_URL: required, since no `uniassist up` runs here and nothing is released here; expected a URL of "
        "Postgres, or --env-file FILE"
    )


def own_command() -> str:
    """How to call us from here: `uniassist` where the PATH has it, else by its path."""
    found = shutil.which("uniassist")
    own = Path(sys.executable).parent / "uniassist"
    if found is not None and Path(found) == own:
        return "uniassist"
    try:
        return str(own.relative_to(Path.cwd()))
    except ValueError:
        return str(own)
