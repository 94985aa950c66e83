"""A connection to Postgres for the release tooling: what is in the way in one sentence, with what to mend."""

from __future__ import annotations

from uniassist.errors import ServerFault
from uniassist.release.report.checklist import CheckFailed
from uniassist.store.server import pool
from uniassist.store.server.pool import SingleConnection

COMMAND_SECONDS = 10.0


async def connect(url: str) -> SingleConnection:
    """CheckFailed says what is in the way."""
    try:
        return await pool.connect(url, command_timeout_seconds=COMMAND_SECONDS)
    except ServerFault as fault:
        raise CheckFailed(f"DATABASE_URL: can't connect: {fault}") from None
    except ValueError as error:
        raise CheckFailed(f"DATABASE_URL: is no URL of Postgres: {error}") from None
