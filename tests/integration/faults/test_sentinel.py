"""Redis behind Sentinels: the primary is found, and after a failover the new one, within seconds."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from tests.conftest import REDIS_FLAVOUR
from tests.integration.delivery.outbox_rows import opened
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.standbys import replicates
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis, binary
from uniassist.devstack.server import ServerProcess
from uniassist.errors import AccessRefused, Away, NoPermission, ServerFault, SettingsError
from uniassist.streams.client import connect, create_client
from uniassist.streams.proof import prove_writing

USER, PASSWORD = "uniassist", "server-0123456789"
SENTINEL_PASSWORD = "sentinel-0123456789"
# As docs/servers.md says.
RIGHTS = "+@all -@dangerous +info ~uniassist* resetchannels &uniassist*"


class Sentinel:
    """One Sentinel that asks nobody, over a primary and its replica. Both let our own user in, with few rights."""

    def __init__(self, folder: Path) -> None:
        self.servers = [EmbeddedRedis(folder / name, flavour=REDIS_FLAVOUR) for name in ("first", "second")]
        self._folder = folder
        self._port = free_port()
        self._process = ServerProcess("sentinel", folder / "sentinel.log")
        self.url = (
            f"redis+sentinel://{USER}:{PASSWORD}@127.0.0.1:1,127.0.0.1:{self._port}/main/0"
            f"?sentinel_password={SENTINEL_PASSWORD}"
        )

    def start(self) -> None:
        for server in self.servers:
            server.start()
            with Redis.from_url(server.url) as admin:
                admin.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *RIGHTS.split())
        configuration = self._folder / "sentinel.conf"
        configuration.write_text(
            f"port {self._port}\nbind 127.0.0.1\nrequirepass {SENTINEL_PASSWORD}\n"
            f"sentinel monitor main 127.0.0.1 {self.servers[0].port} 1\n"
            "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n",
            "utf-8",
        )
        command = [str(binary(REDIS_FLAVOUR)), str(configuration), "--sentinel"]
        self._process.spawn(command, cwd=self._folder, death_signal=signal.SIGKILL)

    def ask(self, *command: str) -> object:
        with Redis(port=self._port, password=SENTINEL_PASSWORD, decode_responses=True) as sentinel:
            return sentinel.execute_command(*command)

    def knows_replica(self) -> bool:
        try:
            return bool(self.ask("SENTINEL", "CKQUORUM", "main")) and self._flags() == "slave"
        except Exception:  # it is starting
            return False

    def _flags(self) -> str:
        with Redis(port=self._port, password=SENTINEL_PASSWORD, decode_responses=True) as sentinel:
            found = sentinel.sentinel_slaves("main")
        return "slave" if found and found[0]["is_slave"] and not found[0]["is_sdown"] else ""

    def stop(self) -> None:
        self._process.kill()
        for server in self.servers:
            server.process.kill()


@pytest.fixture
def sentinel(server_directory: Path) -> Iterator[Sentinel]:
    found = Sentinel(Path(tempfile.mkdtemp(prefix="sentinel-", dir=server_directory)))
    found.start()
    yield found
    found.stop()


async def test_a_worker_follows_the_primary_that_the_sentinels_name(
    service: Callable[..., ServiceProcess], sentinel: Sentinel, database_url: str
) -> None:
    first, second = sentinel.servers
    await eventually(lambda: replicates(first, second), "the second has the data")
    await eventually(sentinel.knows_replica, "the Sentinel knows both")
    service("worker", DATABASE_URL=database_url, REDIS_URL=sentinel.url)
    async with opened(database_url, first.url) as outbox:
        await outbox.write_turn("before", 3)
        await outbox.all_consumed()
        await asyncio.to_thread(first.process.kill)
        async with connect(sentinel.url) as redis:
            await eventually(partial(_takes_writes, redis.set), "there is a new primary", 20)
        await outbox.write_turn("after", 3)
        await outbox.all_consumed(deadline_seconds=20)
    with Redis.from_url(second.url) as asked:
        assert asked.exists("uniassist:timeline:after")


async def _takes_writes(write: Callable[..., object]) -> bool:
    try:
        await write("uniassist-test", b"", ex=1)  # type: ignore[misc]
    except Exception:
        return False
    return True


async def test_without_a_primary_it_is_away_and_says_why(sentinel: Sentinel) -> None:
    await eventually(lambda: bool(_answers(sentinel)), "the Sentinel answers")
    url = sentinel.url.replace("/main/", "/other/")
    async with connect(url) as redis:
        with pytest.raises(Away) as caught:
            await prove_writing(redis)
    assert caught.value.words == "redis: away (no Sentinel knows a primary)"


@pytest.mark.parametrize(
    ("written", "kind", "words"),
    [
        ("sentinel_password=wrong", AccessRefused, "redis: refused (a Sentinel: wrong user or password)"),
        ("", AccessRefused, "redis: refused (a Sentinel: a password is needed)"),
        (
            f"sentinel_username=low&sentinel_password={SENTINEL_PASSWORD}",
            NoPermission,
            "redis: no permission (a Sentinel)",
        ),
    ],
)
async def test_a_sentinel_that_refuses_us_is_named(
    sentinel: Sentinel, written: str, kind: type[ServerFault], words: str
) -> None:
    """Though another one is away."""
    await eventually(lambda: bool(_answers(sentinel)), "the Sentinel answers")
    sentinel.ask("ACL", "SETUSER", "low", "on", f">{SENTINEL_PASSWORD}", "+hello", "+client")
    async with connect(f"{sentinel.url.partition('?')[0]}?{written}") as redis:
        with pytest.raises(kind) as caught:
            await prove_writing(redis)
    assert caught.value.words == words


def _answers(sentinel: Sentinel) -> object:
    try:
        return sentinel.ask("PING")
    except Exception:  # it is starting
        return None


@pytest.mark.parametrize(
    "url", ["redis+sentinel://localhost", "redis+sentinel:///main", "redis+sentinel://a:b/main"]
)
def test_a_url_that_cannot_be_read_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: expected "):
        create_client(url)
