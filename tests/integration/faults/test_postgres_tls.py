"""Postgres over TLS: certificates of both sides, each fault in words that say what to do, by both drivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.certificates import HOUR, Authority
from tests.integration.delivery.asking import health
from tests.integration.gateway.client import GatewayClient, message
from tests.processes import ServiceProcess
from tests.tls_front import Front, front
from tests.waiting import eventually

from uniassist.devstack import doctor
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.errors import AccessRefused, ServerFault
from uniassist.release.checks.servers import check_postgres
from uniassist.release.report.checklist import CheckFailed
from uniassist.store import migrate
from uniassist.store.server import pool
from uniassist.web.calling.client import JsonClient

UNTRUSTED = "postgres: refused (its certificate isn't trusted)"


class Behind:
    """A database behind TLS. `url` names this side's files; its authority is trusted unless it says otherwise."""

    def __init__(self, front: Front, authority: Authority, url: str, server: EmbeddedPostgres) -> None:
        self.front = front
        self.authority = authority
        self._url = url.replace(f":{server.port}/", f":{front.port}/")

    def of(self, database: str) -> str:
        """Its URL, with all that is verified."""
        return urlsplit(self.url())._replace(path=urlsplit(database).path).geturl()

    def url(self, host: str = "127.0.0.1", **more: str) -> str:
        said = {"sslmode": "verify-full", "sslrootcert": str(self.authority.file), **more}
        query = "&".join(f"{name}={value}" for name, value in said.items() if value)
        return f"{self._url.replace('@127.0.0.1:', f'@{host}:')}?{query}"


@pytest.fixture(scope="module")
def authority(server_directory: Path) -> Authority:
    return Authority(server_directory / "postgres-tls")


@pytest.fixture(scope="module")
def other(server_directory: Path) -> Authority:
    return Authority(server_directory / "postgres-tls", "other")


@pytest.fixture
async def behind(postgres_server: EmbeddedPostgres, authority: Authority) -> AsyncIterator[Behind]:
    async with front(postgres_server.port, authority.issue("good", "127.0.0.1"), at_once=False) as tls:
        yield Behind(tls, authority, postgres_server.url, postgres_server)


def shown(name: str, *hosts: str, **times: object) -> Callable[[Behind, Authority], str]:
    def show(behind: Behind, _other: Authority) -> str:
        behind.front.show(behind.authority.issue(name, *hosts, **times))  # type: ignore[arg-type] # of `issue`
        return behind.url()

    return show


FAULTS: dict[str, tuple[Callable[[Behind, Authority], str], str, str]] = {
    "another authority": (
        lambda behind, other: behind.url(sslrootcert=str(other.file)),
        UNTRUSTED,
        "sslrootcert names the root certificate to trust",
    ),
    "the system's authorities": (
        lambda behind, _: behind.url(sslrootcert="system"),
        UNTRUSTED,
        "sslrootcert names the root certificate to trust",
    ),
    "expired": (
        shown("expired", "127.0.0.1", ends=-HOUR),
        "postgres: refused (its certificate has expired)",
        "renew it on the server",
    ),
    "not yet": (
        shown("early", "127.0.0.1", begins=HOUR, ends=2 * HOUR),
        "postgres: refused (its certificate isn't valid yet)",
        "look at the clocks of both hosts",
    ),
    "another host": (
        lambda behind, _: behind.url("localhost"),
        "postgres: refused (its certificate is for another host)",
        "write the host in DATABASE_URL as the certificate names it",
    ),
    "another address": (
        shown("elsewhere", "10.0.0.1"),
        "postgres: refused (its certificate is for another host)",
        "write the host in DATABASE_URL as the certificate names it",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_of_a_certificate_is_named_with_what_to_do(
    behind: Behind, other: Authority, fault: str
) -> None:
    make, words, remedy = FAULTS[fault]
    url = make(behind, other)
    with pytest.raises(AccessRefused) as caught:
        await pool.connect(url)
    assert (caught.value.words, remedy in caught.value.said) == (words, True)
    with pytest.raises(CheckFailed) as failed:
        await check_postgres(url)
    assert str(failed.value) == f"DATABASE_URL: can't connect: {caught.value}"
    with pytest.raises(ServerFault) as status:
        await asyncio.to_thread(migrate.status, url)
    assert str(status.value) == str(caught.value)


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.1", {"ssl_min_protocol_version": "TLSv1.3"}),
        ("localhost", {"sslmode": "verify-ca"}),
        ("localhost", {"sslmode": "require", "sslrootcert": ""}),
        ("localhost", {"sslmode": "prefer"}),
        ("localhost", {"sslmode": "disable"}),
    ],
)
async def test_what_is_to_be_checked_may_be_said(behind: Behind, host: str, more: dict[str, str]) -> None:
    url = behind.url(host, **more)
    async with await pool.connect(url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert (await asyncio.to_thread(migrate.status, url)).current is None


async def test_a_key_that_others_can_read_is_refused(behind: Behind) -> None:
    own = behind.authority.issue("client")
    url = behind.url(sslcert=str(own.file), sslkey=str(own.key))
    async with await pool.connect(url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    own.key.chmod(0o644)
    with pytest.raises(AccessRefused, match=f"sslkey: {own.key} can be read by others; next: chmod 600 {own.key}"):
        await pool.connect(url)


async def test_services_work_over_it_and_say_so_when_the_certificate_expires(
    service: Callable[..., ServiceProcess], behind: Behind, database_url: str, redis_url: str
) -> None:
    gateway = service("gateway", DATABASE_URL=behind.of(database_url), REDIS_URL=redis_url)
    async with JsonClient() as client:
        await GatewayClient(client, gateway.url).ingest(message("你好"))
    looked = await asyncio.to_thread(doctor.database, behind.url())
    assert looked.level == "ok"
    behind.front.show(behind.authority.issue("expired", "127.0.0.1", ends=-HOUR))
    await behind.front.cut()  # so that all is opened anew

    async def tells() -> bool:
        status, checks = await health(gateway)
        return (status, checks["postgres"]) == (503, "refused (its certificate has expired)")

    await eventually(tells, "it says so", 20)
