"""Where the system is that a command talks to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory
from uniassist.errors import SettingsError, StartError
from uniassist.settings import Reader

StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="The state directory of `up`; default .uniassist.", metavar="DIR")
]


def gateway_url(url: str | None, state_dir: Path | None) -> str:
    """The first of: --url, GATEWAY_URL, the system that `up` runs on the state directory, the default port."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"--url: expected a URL such as http://127.0.0.1:8787, got {url!r}")
        return url.rstrip("/")
    if state_dir is None and os.environ.get("GATEWAY_URL"):
        return Reader(os.environ).http_url("GATEWAY_URL")
    state = StateDirectory(state_dir or DEFAULT_DIRECTORY).read()
    if state is not None:
        return next(service.url for service in state.services if service.name == "gateway")
    if state_dir is not None:
        raise StartError(f"nothing runs on {state_dir}; start it with: uniassist up --state-dir {state_dir}")
    return Reader(os.environ).http_url("GATEWAY_URL")
