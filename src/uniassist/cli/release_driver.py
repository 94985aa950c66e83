"""Which driver a release command works through, and where its services answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.release_environment import Environment
from uniassist.devstack.plan import SERVICES
from uniassist.release.drivers.choose import choose
from uniassist.release.drivers.driver import Driver
from uniassist.release.home import Home
from uniassist.settings import Reader

DriverName = Annotated[
    str, typer.Option("--driver", help="Where the services run: local, exec or manual.", metavar="NAME")
]
DriverFile = Annotated[
    Path | None, typer.Option("--driver-file", help="The operator's own commands, for exec.", metavar="FILE")
]
URLS = {
    "provider-plan": "STAGING_PROVIDER_PLAN_BASE_URL",
    "adapter-wechat": "STAGING_ADAPTER_WECHAT_BASE_URL",
    "gateway": "STAGING_GATEWAY_BASE_URL",
    "worker": "STAGING_WORKER_BASE_URL",
}


def driver_of(
    name: str, file: Path | None, home: Home, environment: Environment, say: Callable[[str], None]
) -> Driver:
    """SettingsError when there is no such driver, or its file is missing."""
    urls, mask = given_urls(environment.reader()), environment.mask
    return choose(name, home=home.own / name, urls=urls, say=say, mask=mask, file=file)


def given_urls(reader: Reader) -> dict[str, str]:
    """The URLs that the environment names, by service."""
    found = {service: reader.optional_http_url(variable) for service, variable in URLS.items()}
    return {service: url for service, url in found.items() if url is not None}


def all_urls(values: Mapping[str, str], driver: str) -> dict[str, str]:
    """Those, and of services of this host the address that their env set gives them."""
    reader = Reader(values)
    own = {}
    if driver == "local":
        host = reader.text("HOST")
        reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on
        own = {service: f"http://{reached}:{reader.integer(port)}" for service, port in SERVICES.items()}
    return own | given_urls(reader)
