"""What a rollout needs of the place where the services run. Every verb may be repeated, to the same effect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

State = Literal["running", "stopped", "unknown"]


@dataclass(frozen=True)
class Release:
    """A revision together with the env set that it runs under, as it is kept where the services run.

    `folder` holds all that a restart of it needs, without git, network or registry: `env` (0600, the whole set),
    the wheel, `requirements.txt` (hashes and all), `release.json`, and what the driver prepared. Services report
    `tag` as their revision and `env_digest` as their env set.
    """

    id: str  # <tag>-<first 8 of env_digest>: names the folder
    tag: str
    commit: str
    wheel_sha256: str
    env_digest: str
    folder: Path


@dataclass(frozen=True)
class Observed:
    """What is there, seen and not remembered. `revision`, `env_digest` and `instance` are what /health says.

    `state` is what the driver knows of its process: "unknown" where it can't tell (a person's hands, say).
    `ok` None: nobody answers at the service's URL. `stranger`: whoever answers isn't what the driver started.
    `failing` are the checks that make it unhealthy, by their names in /health.
    """

    service: str
    state: State
    revision: str | None = None
    env_digest: str | None = None
    instance: str | None = None
    ok: bool | None = None
    stranger: bool = False
    detail: str = ""
    failing: tuple[str, ...] = ()


class Driver(Protocol):
    """`service` is one of the four. A verb that can't do its work raises DriverFailed, and says what is left how.

    `deploy` and `revert` return once the service was told to run the release; `observe` sees that it is healthy.
    """

    name: str

    async def prepare(self, release: Release) -> str:
        """Whatever can be done before the first service stops; after it, deploy needs no network. What was done."""
        ...

    async def deploy(self, service: str, release: Release) -> None:
        """Replace what runs by `release`, draining the old one. Nothing to do where it runs already."""
        ...

    async def stop(self, service: str, revision: str | None = None) -> None:
        """Drain and stop it, proven: nothing of it runs afterwards. With `revision`: only instances of that one."""
        ...

    async def revert(self, service: str, release: Release) -> None:
        """As deploy, of a release that ran here before, with nothing but what is kept here."""
        ...

    async def observe(self, service: str) -> Observed:
        """What runs, within 3 s. Never raises for what it finds."""
        ...


class DriverFailed(Exception):
    """A verb didn't reach what it was asked for; the message says what was seen and what to look at."""
