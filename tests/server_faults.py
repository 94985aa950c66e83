"""Postgres and Redis with something wrong, each as a URL that shows it, and the words that must be said of it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from redis import Redis

from tests.ports import free_port
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis, Flavour, binary
from uniassist.devstack.server import ServerProcess
from uniassist.errors import AccessRefused, Away, Cut
from uniassist.release.checks.servers import check_redis
from uniassist.release.report.checklist import CheckFailed
from uniassist.streams.client import Redis as RedisClient
from uniassist.streams.client import connect
from uniassist.streams.proof import prove_writing

PASSWORD = "let-me-in-0123456789"

# In each of these no statement is reached.
CONNECTING = {
    "refused port": "postgres: away (connection refused)",
    "unknown host": "postgres: away (its name can't be resolved)",
    "wrong password": "postgres: refused (wrong password)",
    "no database": "postgres: refused (no such database)",
    "no login": "postgres: refused (this user, host or kind of connection isn't let in)",
    "too many connections": "postgres: too many connections",
    "TLS asked of a server without": "postgres: away (the connection broke)",
    "no Postgres": "postgres: away (the connection broke)",
}
SILENT = "postgres: away (no answer in time)"

REDIS = {
    "refused port": "redis: away (connection refused)",
    "unknown host": "redis: away (its name can't be resolved)",
    "no password given": "redis: refused (a password is needed)",
    "wrong password": "redis: refused (wrong user or password)",
    "no rights": "redis: no permission",
    "loading": "redis: loading",
    "too many clients": "redis: too many connections",
    "no such database": "redis: rejected",
    "no Redis": "redis: refused (no Redis)",
}
REDIS_WRITING = {
    "full": "redis: full (maxmemory)",
    "replica": "redis: read-only (a replica)",
    "too few replicas": "redis: read-only (too few replicas)",
}

_ROLES = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'without_rights') THEN
        CREATE ROLE without_rights LOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE without_login NOLOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE without_connections LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;
        CREATE ROLE only_reading LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data, pg_write_all_data;
        ALTER ROLE only_reading SET default_transaction_read_only = on;
    END IF;
END $$
"""


class FaultyPostgres:
    """`url` by the fault's name, on a server that is well."""

    def __init__(self, server: EmbeddedPostgres, database_url: str) -> None:
        self._url = database_url
        self._talker = Talker(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with psycopg.connect(server.url_for("postgres"), autocommit=True) as connection:
            connection.execute(_ROLES)

    def url(self, fault: str) -> str:
        parts = urlsplit(self._url)
        user, here = f"postgres:{PASSWORD}", f"127.0.0.1:{parts.port}"
        match fault:
            case "refused port":
                return f"postgresql://{user}@127.0.0.1:{free_port()}/uniassist"
            case "unknown host":
                return f"postgresql://{user}@nowhere.invalid/uniassist"
            case "wrong password":
                return parts._replace(netloc=f"{user}@{here}").geturl()
            case "no database":
                return parts._replace(path="/nowhere").geturl()
            case "no login":
                return self.of_role("without_login")
            case "too many connections":
                return self.of_role("without_connections")
            case "TLS asked of a server without":
                return f"{self._url}?sslmode=require"
            case "no Postgres":
                return f"postgresql://{user}@127.0.0.1:{self._talker.port}/uniassist"
        raise KeyError(fault)

    def of_role(self, role: str) -> str:
        parts = urlsplit(self._url)
        return parts._replace(netloc=f"{role}:{PASSWORD}@127.0.0.1:{parts.port}").geturl()

    def close(self) -> None:
        self._talker.close()


class FaultyRedis:
    """A server of its own, since most faults are a setting of the whole server."""

    def __init__(self, folder: Path, flavour: Flavour) -> None:
        self._folder = folder
        self._flavour = flavour
        self._server = EmbeddedRedis(folder, flavour=flavour)
        self._talker = Talker(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self._loading: ServerProcess | None = None
        self._server.start()
        self._kept = Redis.from_url(self._server.url)  # connects when it is used

    def url(self, fault: str) -> str:
        here = f"127.0.0.1:{self._server.port}"
        with Redis.from_url(self._server.url) as admin:
            match fault:
                case "refused port":
                    return f"redis://127.0.0.1:{free_port()}/0"
                case "unknown host":
                    return "redis://nowhere.invalid:6379/0"
                case "no password given":
                    admin.config_set("requirepass", PASSWORD)
                    return f"redis://{here}/0"
                case "wrong password":
                    return f"redis://nobody:{PASSWORD}@{here}/0"
                case "no rights":
                    admin.execute_command(
                        "ACL", "SETUSER", "low", "on", f">{PASSWORD}", "+hello", "+client", "+select"
                    )
                    return f"redis://low:{PASSWORD}@{here}/0"
                case "loading":
                    return self._load(admin)
                case "too many clients":
                    self._kept.ping()
                    admin.config_set("maxclients", 1)
                    return f"redis://{here}/0"
                case "no such database":
                    return f"redis://{here}/9999"
                case "no Redis":
                    return f"redis://127.0.0.1:{self._talker.port}/0"
                case "full":
                    admin.config_set("maxmemory", 1)
                    return f"redis://{here}/0"
                case "replica":
                    admin.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
                    return f"redis://{here}/0"
                case "too few replicas":
                    admin.config_set("min-replicas-to-write", 3)
                    return f"redis://{here}/0"
        raise KeyError(fault)

    def _load(self, admin: Redis) -> str:
        """Another process that reads this one's data, very slowly."""
        if self._flavour == "redis-6.2":
            pytest.skip("nothing slows its loading down")
        admin.mset({f"key-{number}": "x" * 2000 for number in range(2000)})
        admin.save()
        port = free_port()
        command = [
            str(binary(self._flavour)),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self._folder),
        ]
        command += ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]
        self._loading = ServerProcess("redis", self._folder / "loading.log")
        self._loading.spawn(command, cwd=self._folder, death_signal=signal.SIGKILL)
        self._loading.wait_ready(lambda: _accepts(port))
        return f"redis://127.0.0.1:{port}/0"

    def close(self) -> None:
        self._talker.close()
        self._kept.close()
        self._server.process.kill()
        if self._loading is not None:
            self._loading.kill()


class Talker:
    """Listens, and answers whatever comes with the same bytes; with none it stays silent."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # ends the wait for the next one
        for each in (self._socket, *self._open):
            each.close()

    def _listen(self) -> None:
        while True:  # ends: with `close`
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._answer:
                with connection:
                    connection.recv(1000)
                    connection.sendall(self._answer)
            else:
                self._open.append(connection)


@contextmanager
def silent_port() -> Iterator[int]:
    talker = Talker(b"")
    yield talker.port
    talker.close()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def proof_of_writing(redis: RedisClient) -> None:
    """Tried again, as a service does, where the machine was too busy for the 0.8 s that it has, or a word got lost.

    With TLS 1.3 a server refuses our certificate when we are writing already: whether its word or the reset that
    follows is seen first is chance.
    """
    end = time.monotonic() + 30
    while True:
        try:
            return await prove_writing(redis)
        except Away as fault:
            passing = isinstance(fault, Cut) or fault.reason == "no answer in time"
            if not passing or time.monotonic() > end:
                raise


async def redis_refuses(url: str, words: str, remedy: str) -> None:
    """A service's proof of writing says `words` and what to do; a check says the same."""
    async with connect(url) as redis:
        with pytest.raises(AccessRefused) as caught:
            await proof_of_writing(redis)
    assert (caught.value.words, remedy in caught.value.said) == (words, True)

    async def said() -> str:
        with pytest.raises(CheckFailed) as failed:
            await check_redis(url)
        return "" if "away" in str(failed.value) else str(failed.value)

    assert await eventually(said, "a check says why it is refused") == f"REDIS_URL: {caught.value}"
