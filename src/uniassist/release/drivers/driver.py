"""What a rollout needs of the place where the services run. Every verb may be repeated, to the same effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from uniassist.release.records.kept_releases import Release

State = Literal["running", "stopped", "unknown"]


@dataclass(frozen=True)
class Observed:
    """What is there, seen and not remembered.

    state: what the driver knows of its process; "unknown" where it can't tell (a person's hands, say).
    revision, env_digest, instance: what /health says.
    ok: what /health says; None: nobody answers at the service's URL.
    stranger: whoever answers isn't what the driver started.
    failing: the checks that make it unhealthy, by their names in /health.
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
    """`service` is one of a release's. A verb that can't do its work raises DriverFailed, and says what is left.

    `deploy` and `revert` return once the service was told to run the release; `observe` sees that it is healthy.
    """

    name: str
    waits_for_a_person: bool
    """Its verbs wait for somebody who may never come: a Ctrl-C ends them."""

    async def prepare(self, release: Release) -> str:
        """Whatever can be done before the first service stops; after it, deploy needs no network. What was done."""
        ...

    def command(self, release: Release) -> Sequence[str] | None:
        """The release's own `uniassist` on this host, as the start of a command line.

        None where releases run elsewhere. DriverFailed while this one isn't prepared.
        """
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

    async def in_the_way(self, env: Mapping[str, str]) -> list[str]:
        """Who holds what services of this env set would need, in a sentence each; empty where none can be seen."""
        ...

    def prune(self, kept: Sequence[Release]) -> list[str]:
        """Remove what was prepared for other releases than these; the names of what went."""
        ...


class DriverFailed(Exception):
    """A verb didn't reach what it was asked for; the message says what was seen and what to look at."""
