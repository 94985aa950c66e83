"""What keeps a process running on this host: the order that it gets, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec


class ServiceOrder(msgspec.Struct, rename="camel", frozen=True):
    """One service of one release, to be kept running. It holds no secret: the environment goes another way.

    id: new with each order.
    address: where it will listen, as host and port.
    max_log_bytes: above this, its log begins anew.
    """

    id: str
    service: str
    release_id: str
    tag: str
    env_digest: str
    wheel_sha256: str
    command: list[str]
    working_directory: str
    drain_seconds: float
    address: tuple[str, int]
    max_log_bytes: int = 20 * 1024 * 1024

    @property
    def url(self) -> str:
        host, port = self.address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not bound
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class KeptProcess:
    """A service as its runner sees it.

    alive: something of it runs, or will by itself.
    pid: leads the service's process group; None while it is down.
    instance: what the process that runs now says of itself.
    watched: False: it runs, but nothing would start it again.
    """

    alive: bool
    order: ServiceOrder | None = None
    pid: int | None = None
    instance: str | None = None
    watched: bool = True
    detail: str = ""


class Runner(Protocol):
    """`service` names what is kept; one order for each at a time."""

    async def look(self, service: str) -> KeptProcess: ...

    async def start(self, order: ServiceOrder, env: Mapping[str, str]) -> None:
        """Nothing of the service runs. DriverFailed when it wasn't started."""
        ...

    async def stop(self, service: str) -> None:
        """Drained, and proven that nothing of it runs afterwards; DriverFailed that says what still does."""
        ...

    def log(self, service: str) -> str:
        """Where its words are, for a person."""
        ...

    async def last_lines(self, service: str) -> str: ...
