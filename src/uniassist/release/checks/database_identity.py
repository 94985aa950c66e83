"""Which database a record was made on. Never raises for what it finds."""

from __future__ import annotations

from uniassist.errors import ServerFault
from uniassist.release.checks.connecting import connect
from uniassist.release.report.checklist import CheckFailed
from uniassist.store.server import identity


async def database_of(url: str | None) -> str | None:
    """Its identity; None where there is no URL, or it can't be asked."""
    if url is None:
        return None
    try:
        async with await connect(url) as connection:
            return await identity.of_database(connection)
    except (CheckFailed, ServerFault):
        return None
