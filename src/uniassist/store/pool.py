"""The connection pool that services share, and the check that the schema is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from uniassist.errors import StartError

Pool = asyncpg.Pool
Connection: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"


async def create_pool(
    url: str,
    *,
    application_name: str,
    max_size: int = 10,
    command_timeout_seconds: float = 30.0,
    settings: Mapping[str, str] | None = None,
) -> asyncpg.Pool:
    """A pool of at most `max_size` connections, opened lazily: the service starts also while Postgres is down.

    Durable commits are asked for explicitly, whatever the server's default says (promise 1); `settings` are
    further run-time parameters of its sessions.
    """
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        timeout=5.0,
        command_timeout=command_timeout_seconds,
        max_inactive_connection_lifetime=300.0,
        reset=_keep_as_it_is,
        server_settings={"application_name": application_name, "synchronous_commit": "on", **(settings or {})},
    )


async def require_schema(pool: asyncpg.Pool) -> None:
    """Raise StartError when the database was never migrated; a service never runs DDL itself."""
    async with pool.acquire(timeout=5.0) as connection:
        found = await connection.fetchval("SELECT to_regclass('outbox_events')")
    if found is None:
        raise StartError("the database has no schema: run `uniassist db migrate`")


async def _keep_as_it_is(_connection: Connection) -> None:
    """Nothing here leaves session state behind, and the driver's own reset is one more round trip for each use."""
