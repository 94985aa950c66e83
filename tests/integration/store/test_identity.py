"""A database's identity: its own, whoever asks, and not that of a copy made from it."""

from __future__ import annotations

import psycopg

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.store.server import identity
from uniassist.store.server.pool import connect


async def _of(url: str) -> str:
    async with await connect(url) as connection:
        return await identity.of_database(connection)


async def test_it_survives_a_restart_and_a_copy_has_another(
    own_postgres: EmbeddedPostgres,
) -> None:
    before = await _of(own_postgres.url)
    own_postgres.stop()
    own_postgres.start()
    with psycopg.connect(own_postgres.url_for("postgres"), autocommit=True) as connection:
        connection.execute('CREATE DATABASE "a copy: no.1" TEMPLATE uniassist')
    copied = await _of(own_postgres.url_for("a%20copy%3A%20no.1"))
    assert await _of(own_postgres.url) == before
    assert before.startswith("uniassist-")
    assert copied.startswith("a_copy__no_1-")
    assert copied[-10:] != before[-10:]


async def test_a_role_that_may_not_ask_for_the_cluster_learns_one_too(
    own_postgres: EmbeddedPostgres,
) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        host, port = connection.info.host, connection.info.port
    assert (await _of(f"postgresql://plain:plain@{host}:{port}/uniassist")).startswith("uniassist-")
