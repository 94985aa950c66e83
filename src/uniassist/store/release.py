"""What the release tooling asks of a database: its server, the state of given events, and a drill's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from uniassist.store.delivery import ROW_LEASE
from uniassist.store.queries import statements
from uniassist.store.server.pool import Connection

ENCODING = "UTF8"


@dataclass(frozen=True)
class Server:
    """`version` as Postgres counts: 140005 is 14.5."""

    version: int
    shown: str
    is_standby: bool
    database: str
    role: str
    encoding: str

    @property
    def wrong_encoding(self) -> str:
        """What to say where it isn't ENCODING."""
        return (
            f"the database {self.database} is {self.encoding}, which can't hold every text; make one with "
            f"CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0"
        )


class _RollBack(Exception):
    """Ends a transaction that was only to be tried."""


async def server(connection: Connection) -> Server:
    row = await connection.fetchrow(*statements("release")["server"]())
    assert row is not None, "settings always have a value"
    return Server(**dict(row))


async def try_to_write(connection: Connection) -> None:
    """Make a table and write to it, in a transaction that is rolled back. Postgres's own errors are raised."""
    try:
        async with connection.transaction():
            await connection.execute(*statements("release")["write_table"]())
            await connection.execute(*statements("release")["write_row"]())
            raise _RollBack
    except _RollBack:
        return


async def schema_revision(connection: Connection) -> str | None:
    """The last migration that ran; None in a database that was never migrated."""
    if await connection.fetchval(*statements("release")["has_schema"]()) is None:
        return None
    found: str | None = await connection.fetchval(*statements("release")["schema_revision"]())
    return found


async def session_states(connection: Connection, session_id: str) -> dict[str, int]:
    """How many of the session's events are in each state."""
    rows = await connection.fetch(*statements("release")["session_states"](session_id=session_id))
    return {row["status"]: row["events"] for row in rows}


async def states_of(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    rows = await connection.fetch(*statements("release")["states_of"](event_ids=list(event_ids)))
    return {row["status"]: row["events"] for row in rows}


async def lock_drill(connection: Connection) -> bool:
    """Whether no other drill runs on this database; held until the connection is closed."""
    locked: bool = await connection.fetchval(*statements("release")["lock_drill"]())
    return locked


async def live_workers(connection: Connection) -> list[str]:
    """The workers that hold a lease now, each as `<consumer>:<process>:<incarnation>`."""
    return [row["worker"] for row in await connection.fetch(*statements("release")["live_workers"]())]


async def last_id(connection: Connection) -> int:
    found: int = await connection.fetchval(*statements("release")["last_id"]())
    return found


async def unconfirmed(connection: Connection, up_to_id: int) -> int:
    """Events on the streams that the consumer group has not confirmed."""
    found: int = await connection.fetchval(*statements("release")["unconfirmed"](up_to_id=up_to_id))
    return found


async def dead_again(connection: Connection, event_id: str) -> None:
    """Put a consumed event back among the dead letters."""
    await connection.execute(*statements("release")["dead_again"](event_id=event_id))


async def events_like(connection: Connection, prefix: str) -> list[str]:
    return [row["event_id"] for row in await connection.fetch(*statements("release")["events_like"](prefix=prefix))]


async def remove_events(connection: Connection, event_ids: Sequence[str]) -> int:
    """Delete those that no worker has in its hands."""
    asked = statements("release")["remove_events"](event_ids=list(event_ids), row_lease=ROW_LEASE)
    answer = await connection.execute(*asked)
    return int(answer.rsplit(" ", 1)[1])


async def count_events(connection: Connection, event_ids: Sequence[str]) -> int:
    found: int = await connection.fetchval(*statements("release")["count_events"](event_ids=list(event_ids)))
    return found


async def remove_replays(connection: Connection, prefix: str) -> int:
    """Delete the replay log's rows of events whose id starts with `prefix`."""
    answer = await connection.execute(*statements("release")["remove_replays"](prefix=prefix))
    return int(answer.rsplit(" ", 1)[1])


async def troubles(connection: Connection, besides: Sequence[str]) -> tuple[int, int]:
    """Dead letters, and attempts that events have failed, but of ids that start with one of `besides`."""
    row = await connection.fetchrow(*statements("release")["troubles"](besides=list(besides)))
    assert row is not None, "aggregates always give a row"
    return row["dead_letters"], row["attempts"]


async def troubles_in_hour_before(
    connection: Connection, moment: datetime, besides: Sequence[str]
) -> tuple[int, int]:
    """The same of the events that were created in the hour before `moment`."""
    row = await connection.fetchrow(
        *statements("release")["troubles_in_hour_before"](besides=list(besides), moment=moment)
    )
    assert row is not None, "aggregates always give a row"
    return row["dead_letters"], row["attempts"]
