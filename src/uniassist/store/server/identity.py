"""Which database this is: the same after a failover to a standby, another for whatever was made by a dump."""

from __future__ import annotations

import hashlib
import re

from uniassist.errors import NoPermission
from uniassist.store.queries import statements
from uniassist.store.server.pool import Connection, Pool, Record

_SHOWN = 40


async def of_database(pool: Pool | Connection) -> str:
    """`<name>-<10 hexadecimal digits>`: letters, digits, `_` and `-` only. ServerFault: no answer.

    The digits are of the cluster's identifier and the database's number. A standby has both of its primary, and so
    has a physical copy (a base backup, a snapshot), which can't be told apart. A server that keeps its identifier
    to itself leaves the number.
    """
    queries = statements("identity")
    try:
        row = await pool.fetchrow(*queries["with_cluster"](), timeout=5)
    except NoPermission:
        row = await pool.fetchrow(*queries["without_cluster"](), timeout=5)
    assert row is not None, "every session has a database"
    return _named(row)


def _named(row: Record) -> str:
    digest = hashlib.sha256(f"{row['cluster']}/{row['number']}".encode()).hexdigest()[:10]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', row['name'])[:_SHOWN]}-{digest}"
