"""The smoke with no more rights than docs/servers.md grants on Redis, as the owner of a database of Postgres."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from redis import Redis
from tests.integration.delivery.asking import uniassist

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

PASSWORD = "server-0123456789"
DOCUMENT = Path(__file__).parents[2] / "docs" / "servers.md"


async def test_the_smoke_needs_no_more_rights_than_are_documented(
    own_postgres: EmbeddedPostgres, own_redis: EmbeddedRedis
) -> None:
    found = re.search(r"^ACL SETUSER uniassist on >PASSWORD (.+)$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    with Redis.from_url(own_redis.url, decode_responses=True) as admin:
        admin.execute_command("ACL", "SETUSER", "uniassist", "on", f">{PASSWORD}", *found[1].split())
        with psycopg.connect(own_postgres.url_for("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE owner LOGIN CREATEDB PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE owned OWNER owner")
        said = await uniassist(
            "smoke",
            database_url=f"postgresql://owner:{PASSWORD}@127.0.0.1:{own_postgres.port}/owned",
            REDIS_URL=own_redis.url.replace("redis://", f"redis://uniassist:{PASSWORD}@"),
        )
        assert said.code == 0, said
        assert admin.execute_command("ACL LOG") == []
