"""TLS of a Postgres that speaks it itself (Debian's): it verifies us as we verify it, by both drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.certificates import Authority
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.errors import AccessRefused, ServerFault
from uniassist.store import migrate
from uniassist.store.server import pool

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="Debian's postgresql isn't installed: see `make test-ha`")


@pytest.fixture(scope="module")
def authority(server_directory: Path) -> Authority:
    return Authority(server_directory / "debian-tls")


@pytest.fixture(scope="module")
def url(server_directory: Path, authority: Authority) -> Iterator[str]:
    """Of a server that lets nobody in without TLS and a certificate."""
    server = EmbeddedPostgres(server_directory / "debian-postgres", durable=False, programs=PROGRAMS)
    server.start()
    shown = authority.issue("server", "127.0.0.1")
    owner = server.data_directory.stat()
    os.chown(shown.key, owner.st_uid, owner.st_gid)
    with psycopg.connect(server.url_for("postgres"), autocommit=True) as admin:
        for name, value in (("cert", shown.file), ("key", shown.key), ("ca", authority.file)):
            admin.execute(f"ALTER SYSTEM SET ssl_{name}_file = '{value}'")
        admin.execute("ALTER SYSTEM SET ssl = on")
        (server.data_directory / "pg_hba.conf").write_text(
            "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n"
        )
        admin.execute("SELECT pg_reload_conf()")
    yield server.url
    server.process.kill()


def with_files(url: str, roots: Authority, own: Authority | None) -> str:
    found = f"{url}?sslmode=verify-full&sslrootcert={roots.file}"
    if own is None:
        return found
    shown = own.issue("client")
    return f"{found}&sslcert={shown.file}&sslkey={shown.key}"


async def test_both_drivers_get_in(url: str, authority: Authority) -> None:
    good = with_files(url, authority, authority)
    assert (await asyncio.to_thread(migrate.upgrade, good)).pending == []
    async with await pool.connect(good) as connection:
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True


async def test_each_side_may_refuse_the_other(url: str, authority: Authority, server_directory: Path) -> None:
    other = Authority(server_directory / "debian-tls-other", "other")
    for refused, words in (
        (with_files(url, authority, None), "this user, host or kind of connection isn't let in"),
        (with_files(url, authority, other), "it doesn't trust our certificate"),
        (with_files(url, other, authority), "its certificate isn't trusted"),
        (f"{url}?sslmode=disable", "this user, host or kind of connection isn't let in"),
    ):
        expected = f"postgres: refused ({words})"

        async def connecting(url: str = refused, expected: str = expected) -> bool:
            # A server that refuses our certificate says so after the handshake (TLS 1.3) and closes: where our
            # first message meets the closed end, its words are gone with the connection.
            with pytest.raises(ServerFault) as caught:
                await pool.connect(url)
            return isinstance(caught.value, AccessRefused) and caught.value.words == expected

        async def status(url: str = refused, expected: str = expected) -> bool:
            with pytest.raises(ServerFault) as caught:
                await asyncio.to_thread(migrate.status, url)
            return str(caught.value).startswith(expected)

        await eventually(connecting, expected)
        await eventually(status, expected)
