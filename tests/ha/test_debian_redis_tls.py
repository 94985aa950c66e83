"""A Redis and a Sentinel that speak TLS themselves (Debian's): certificates of both sides, a Sentinel's users."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from tests.certificates import HOUR, Authority, Certificate
from tests.integration.delivery.asking import health
from tests.integration.delivery.outbox_rows import opened
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.server_faults import redis_refuses
from tests.waiting import eventually

from uniassist.devstack import doctor
from uniassist.devstack.server import ServerProcess
from uniassist.streams.client import connect
from uniassist.streams.proof import prove_writing

PROGRAM = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Debian's redis-server isn't installed: see `make test-ha`")

PASSWORD = "server-0123456789"
SENTINEL_PASSWORD = "sentinel-0123456789"
USER, SENTINEL_USER = "uniassist", "asks-sentinels"
UNTRUSTED = "redis: refused (its certificate isn't trusted)"


@dataclass(frozen=True)
class TlsRedis:
    """A server at `port` and a Sentinel that watches it at `sentinel_port`, both without a port in plain text."""

    authority: Authority
    port: int
    sentinel_port: int
    good: Certificate
    folder: Path

    def url(self, host: str = "127.0.0.1", **more: str) -> str:
        said = {"ssl_ca_certs": str(self.authority.file), **more}
        return f"rediss://:{PASSWORD}@{host}:{self.port}/0?{self._query(said)}"

    def sentinels_url(self, **more: str) -> str:
        login = {"sentinel_username": SENTINEL_USER, "sentinel_password": SENTINEL_PASSWORD}
        said = {"ssl_ca_certs": str(self.authority.file), **login, **more}
        return f"rediss+sentinel://:{PASSWORD}@127.0.0.1:{self.sentinel_port}/main/0?{self._query(said)}"

    @staticmethod
    def _query(said: dict[str, str]) -> str:
        return "&".join(f"{name}={value}" for name, value in said.items() if value)

    def set(self, **settings: str) -> None:
        """Of the server, while it runs."""
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        with self.admin() as admin:
            admin.execute_command("CONFIG", "SET", *[part for pair in names.items() for part in pair])

    def admin(self) -> Redis:
        """Lets every certificate of the server pass, and shows a good one."""
        own = {"ssl_certfile": str(self.good.file), "ssl_keyfile": str(self.good.key)}
        return Redis.from_url(self.url(ssl_ca_certs="", ssl_cert_reqs="none", **own))

    def show(self, shown: Certificate) -> None:
        self.set(tls_cert_file=str(shown.file), tls_key_file=str(shown.key))


@pytest.fixture(scope="module")
def server(server_directory: Path) -> Iterator[TlsRedis]:
    folder = server_directory / "redis-tls"
    authority = Authority(folder)
    good = authority.issue("good", "127.0.0.1")
    found = TlsRedis(authority, free_port(), free_port(), good, folder)
    tls = (
        f"port 0\nbind 127.0.0.1\ntls-replication yes\ntls-auth-clients optional\n"
        f"tls-cert-file {good.file}\ntls-key-file {good.key}\ntls-ca-cert-file {authority.file}\n"
    )
    (folder / "redis.conf").write_text(f'{tls}tls-port {found.port}\nrequirepass {PASSWORD}\nsave ""\n')
    (folder / "sentinel.conf").write_text(
        f"{tls}tls-port {found.sentinel_port}\nuser default off\n"
        f"user {SENTINEL_USER} on >{SENTINEL_PASSWORD} +sentinel|masters +hello +client +ping\n"
        f"sentinel monitor main 127.0.0.1 {found.port} 1\nsentinel auth-pass main {PASSWORD}\n"
    )
    processes = [ServerProcess(name, folder / f"{name}.log") for name in ("redis", "sentinel")]
    for process, more in zip(processes, ([], ["--sentinel"]), strict=True):
        command = [str(PROGRAM), str(folder / f"{process.name}.conf"), *more]
        process.spawn(command, cwd=folder, death_signal=signal.SIGKILL)
    yield found
    for process in processes:
        process.kill()


@pytest.fixture(autouse=True)
async def _all_is_well(server: TlsRedis) -> None:
    failures: list[str] = []

    async def works() -> bool:
        try:
            server.show(server.good)
            server.set(tls_auth_clients="optional")
            async with connect(server.sentinels_url()) as redis:
                await prove_writing(redis)
        except Exception as error:  # it is starting
            failures.append(repr(error))
            return False
        return True

    try:
        await eventually(works, "both are up", 60)
    except AssertionError as error:
        logs = [f"{each.name}: {each.read_text()[-1000:]}" for each in server.folder.glob("*.log")]
        raise AssertionError("\n".join([str(error), *failures[-1:], *logs])) from None


def other_authority(server: TlsRedis) -> str:
    other = Authority(server.folder / "other", "other")
    return server.url(ssl_ca_certs=str(other.file))


def shown(name: str, *hosts: str, **times: object) -> Callable[[TlsRedis], str]:
    def show(server: TlsRedis) -> str:
        server.show(server.authority.issue(name, *hosts, **times))  # type: ignore[arg-type] # of `issue`
        return server.url()

    return show


def client_certificate_asked(server: TlsRedis) -> str:
    server.set(tls_auth_clients="yes")
    return server.url()


def wrong_client_certificate(server: TlsRedis) -> str:
    server.set(tls_auth_clients="yes")
    own = Authority(server.folder / "other", "other").issue("client")
    return server.url(ssl_certfile=str(own.file), ssl_keyfile=str(own.key))


FAULTS: dict[str, tuple[Callable[[TlsRedis], str], str, str]] = {
    "another authority": (other_authority, UNTRUSTED, "ssl_ca_certs names the root certificate to trust"),
    "expired": (
        shown("expired", "127.0.0.1", ends=-HOUR),
        "redis: refused (its certificate has expired)",
        "renew it on the server",
    ),
    "no certificate of ours": (
        client_certificate_asked,
        "redis: refused (it asks for a certificate of ours)",
        "",
    ),
    "a wrong certificate of ours": (
        wrong_client_certificate,
        "redis: refused (it doesn't trust our certificate)",
        "",
    ),
    "a Sentinel of another authority": (
        lambda server: server.sentinels_url(ssl_ca_certs=str(Authority(server.folder / "other", "other").file)),
        "redis: refused (a Sentinel: its certificate isn't trusted)",
        "ssl_ca_certs names the root certificate to trust",
    ),
    "a Sentinel's password wrong": (
        lambda server: server.sentinels_url(sentinel_password="wrong"),
        "redis: refused (a Sentinel: wrong user or password)",
        "",
    ),
    "a Sentinel's password missing": (
        lambda server: server.sentinels_url(sentinel_password="", sentinel_username=""),
        "redis: refused (a Sentinel: a password is needed)",
        "",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_of_a_certificate_is_named_with_what_to_do(server: TlsRedis, fault: str) -> None:
    make, words, remedy = FAULTS[fault]
    await redis_refuses(make(server), words, remedy)


async def test_certificates_of_ours_are_shown(server: TlsRedis) -> None:
    server.set(tls_auth_clients="yes")
    own = server.authority.issue("client")
    async with connect(server.url(ssl_certfile=str(own.file), ssl_keyfile=str(own.key))) as redis:
        await prove_writing(redis)


async def test_services_deliver_over_it_and_say_so_when_the_certificate_expires(
    service: Callable[..., ServiceProcess], server: TlsRedis, database_url: str
) -> None:
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=server.sentinels_url())
    async with opened(database_url, server.url()) as outbox:
        await outbox.write_turn("s", 3)
        await outbox.all_consumed()
    looked = await asyncio.to_thread(doctor.streams, server.sentinels_url())
    assert (looked.level, PASSWORD in looked.said, SENTINEL_PASSWORD in looked.said) == ("ok", False, False)
    server.show(server.authority.issue("expired", "127.0.0.1", ends=-HOUR))
    with server.admin() as admin:
        admin.client_kill_filter(_type="normal", skipme=True)

    async def tells() -> bool:
        status, checks = await health(worker)
        return (status, checks["redis"]) == (503, "refused (its certificate has expired)")

    await eventually(tells, "it says so", 5)
