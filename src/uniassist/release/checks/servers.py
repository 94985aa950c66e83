"""Postgres and Redis as a release needs them: reachable, new enough, and writable, found out by using them."""

from __future__ import annotations

import secrets

from uniassist.errors import ServerFault
from uniassist.release.checks.connecting import connect as connect_postgres
from uniassist.release.report.checklist import CheckFailed, expect
from uniassist.store import release as store
from uniassist.streams.client import Redis
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane

POSTGRES_MINIMUM = 14
REDIS_MINIMUM = (6, 2)


async def check_postgres(url: str, *, minimum: int = POSTGRES_MINIMUM) -> str:
    """A table made and written to in a transaction that is rolled back. CheckFailed says what is in the way."""
    connection = await connect_postgres(url)
    try:
        server = await store.server(connection)
        expect(
            server.version >= minimum * 10_000,
            f"DATABASE_URL: Postgres {server.shown} is too old; at least {minimum} is needed",
        )
        expect(not server.is_standby, "DATABASE_URL: this Postgres is a standby; the primary is needed")
        expect(server.encoding == store.ENCODING, f"DATABASE_URL: {server.wrong_encoding}")
        await store.try_to_write(connection)
    except ServerFault as fault:
        raise CheckFailed(f"DATABASE_URL: {server.role} can't write to {server.database}: {fault}") from None
    finally:
        await connection.close()
    return f"Postgres {server.shown}, database {server.database}; a table made, written and rolled back"


async def schema_revision(url: str) -> str | None:
    """The last migration that ran there; None in an empty database. CheckFailed when it can't be asked."""
    try:
        async with await connect_postgres(url) as connection:
            return await store.schema_revision(connection)
    except ServerFault as fault:
        raise CheckFailed(f"DATABASE_URL: {fault}") from None


async def check_redis(url: str, *, minimum: tuple[int, int] = REDIS_MINIMUM) -> str:
    """An entry appended to a stream of its own, read and deleted; in each lane, where there are any."""
    name = f"uniassist-preflight:{secrets.token_hex(8)}"
    wanted = ".".join(map(str, minimum))

    async def tried(redis: Redis, lane: Lane) -> str:
        found = await redis.info("server")
        shown = str(found["redis_version"])
        numbers = tuple(int(part) for part in shown.split(".")[:2])
        expect(numbers >= minimum, f"REDIS_URL: Redis {shown} is too old; at least {wanted} is needed")
        key = f"{name}{lane.tag}"
        try:
            await redis.xadd(key, {"written": "by preflight"})
            expect(await redis.xlen(key) == 1, "REDIS_URL: an entry that was appended isn't there")
        finally:
            await redis.delete(key)
        return shown

    try:
        async with LaneClients.to_look(url) as clients:
            versions = await clients.each(tried)
    except ServerFault as fault:
        raise CheckFailed(f"REDIS_URL: {fault}") from None
    where = f" in each of {len(versions)} lanes" if clients.layout.count is not None else ""
    return f"Redis {', '.join(dict.fromkeys(versions))}; an entry appended to a stream and deleted{where}"
