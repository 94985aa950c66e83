"""Faults of Postgres and Redis themselves: what each is, what mends it, and whether a rollback could.

One table, so that watch, verify, gate, rollback and status say the same of the same fault, and none of them advises
a rollback for what a rollback can't mend. A server is tried by writing: reading works on a full or read-only one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from uniassist.errors import (
    AccessRefused,
    Away,
    Full,
    Loading,
    Moved,
    NoPermission,
    NoSchema,
    Outage,
    ReadOnly,
    Server,
    ServerFault,
    TooManyConnections,
)
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.steps import Advice
from uniassist.store import release as store
from uniassist.store.server import pool
from uniassist.streams.client import Redis
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane

LOOK_SECONDS = 5.0
T = TypeVar("T")


@dataclass(frozen=True)
class OutageRow:
    """What mends it. `rollback_mends`: the env set may be at fault, and the previous one may not."""

    advice: str
    rollback_mends: bool = False


# AccessRefused and what follows it may come from a wrong env set: these hold no trigger.
TABLE: Mapping[tuple[Server, type[Outage]], OutageRow] = {
    ("postgres", Away): OutageRow("start it, or mend the way to it"),
    ("postgres", Loading): OutageRow("wait until it has started"),
    ("postgres", ReadOnly): OutageRow(
        "let DATABASE_URL lead to the primary, or end default_transaction_read_only on it"
    ),
    ("postgres", Full): OutageRow("make room on its disk"),
    ("postgres", TooManyConnections): OutageRow("end who holds its connections, or raise max_connections"),
    ("postgres", AccessRefused): OutageRow("correct DATABASE_URL, or let its user in", rollback_mends=True),
    ("postgres", NoPermission): OutageRow("grant the user of DATABASE_URL to create tables", rollback_mends=True),
    ("postgres", NoSchema): OutageRow("uniassist db migrate", rollback_mends=True),
    ("redis", Away): OutageRow("start it, or mend the way to it"),
    ("redis", Loading): OutageRow("wait until it has read its data"),
    ("redis", ReadOnly): OutageRow(
        "let REDIS_URL lead to the primary, or end its replication; make room if it is its disk"
    ),
    ("redis", Moved): OutageRow("let the slot's move to another node end, or end it: CLUSTER SETSLOT"),
    ("redis", Full): OutageRow("raise maxmemory, or delete what isn't ours; make room if it is its disk"),
    ("redis", TooManyConnections): OutageRow("end who holds its connections, or raise maxclients"),
    ("redis", AccessRefused): OutageRow("correct REDIS_URL, or let its user in", rollback_mends=True),
    ("redis", NoPermission): OutageRow("grant the user of REDIS_URL all commands on its keys", rollback_mends=True),
}


@dataclass(frozen=True)
class FoundOutage:
    """A server at fault."""

    fault: Outage
    row: OutageRow

    @property
    def is_certain(self) -> bool:
        """The server itself says that it takes no writes; services that only read may think it well."""
        return isinstance(self.fault, ReadOnly | Full)

    def line(self) -> str:
        """The server, the fault, what mends it, and that a rollback doesn't where it doesn't."""
        rest = "" if self.row.rollback_mends else "; no rollback mends that"
        return f"{self.fault}: {self.row.advice}{rest}"


def of_fault(fault: ServerFault) -> FoundOutage | None:
    """None for what isn't the server's own state. A special case of a state has its row."""
    if not isinstance(fault, Outage):
        return None
    rows = (TABLE.get((fault.server, kind)) for kind in type(fault).__mro__)
    row = next((found for found in rows if found is not None), None)
    return FoundOutage(fault, row) if row is not None else None


def of_words(server: str, words: str) -> FoundOutage | None:
    """Of what a service's health says of a server: "full (maxmemory)". None for what isn't in the table."""
    for (named, kind), row in TABLE.items():
        state, _, reason = words.partition(" (")
        if (named, kind.state) == (server, state):
            return FoundOutage(kind(named, reason.removesuffix(")")), row)
    return None


async def write_postgres(url: str) -> None:
    """A table made and written to, in a transaction that is rolled back. ServerFault."""
    async with await pool.connect(url) as connection:
        server = await store.server(connection)
        if server.is_standby:
            raise ReadOnly("postgres", "a standby")
        await store.try_to_write(connection)


async def write_redis(url: str) -> None:
    """An entry appended to a stream of its own, and deleted, in each lane. ServerFault."""
    name = f"uniassist-look:{secrets.token_hex(8)}"

    async def write(redis: Redis, lane: Lane) -> None:
        await redis.xadd(f"{name}{lane.tag}", {"written": "by a look"})
        await redis.delete(f"{name}{lane.tag}")

    async with LaneClients.to_look(url) as clients:
        await clients.each(write)


async def look(database_url: str | None, redis_url: str | None) -> list[FoundOutage]:
    """What is wrong with the servers now; those without a URL aren't tried. Never raises for what it finds."""
    tries = [_tried("postgres", write_postgres(database_url))] if database_url else []
    tries += [_tried("redis", write_redis(redis_url))] if redis_url else []
    found = await asyncio.gather(*tries)
    return [outage for outage in found if outage is not None]


async def _tried(server: Server, attempt: Awaitable[None]) -> FoundOutage | None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await attempt
    except TimeoutError:  # it may take connections, as one that was stopped by a signal does
        return of_fault(Away(server, "no answer in time"))
    except ServerFault as fault:
        return of_fault(fault)
    except ValueError:
        return None
    return None


@dataclass
class Suspects:
    """The servers behind what is checked: looked at once a check has failed, since they may be at fault.

    found: what was wrong with them, at the first failure that they explain.
    """

    database_url: str | None
    redis_url: str | None
    found: list[FoundOutage] = field(default_factory=list)
    _heard: dict[Server, FoundOutage] = field(default_factory=dict)

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Suspects:
        return cls(env.get("DATABASE_URL") or None, env.get("REDIS_URL") or None)

    @property
    def holds(self) -> bool:
        """A rollback would mend nothing of it."""
        return any(not outage.row.rollback_mends for outage in self.found)

    def hear(self, checks: Mapping[str, str]) -> None:
        """What a service's health says: it counts of a server whose URL isn't known, and that says so itself."""
        servers: tuple[tuple[Server, str | None], ...] = (
            ("postgres", self.database_url),
            ("redis", self.redis_url),
        )
        for server, url in servers:
            outage = of_words(server, checks.get(server, "ok")) if url is None else None
            if outage is not None and outage.is_certain:
                self._heard[server] = outage

    @property
    def heard(self) -> list[FoundOutage]:
        """What services said of servers that can't be tried."""
        return list(self._heard.values())

    async def named(self, check: Callable[[], Awaitable[T]], within_seconds: float | None = None) -> T:
        """The check's answer. CheckFailed with its words, and with the server's where one is at fault.

        within_seconds: the check's own time; a look at the servers may take LOOK_SECONDS more.
        """
        try:
            async with asyncio.timeout(within_seconds):
                return await check()
        except TimeoutError:
            failed = "no answer in time" if within_seconds is None else f"not done within {within_seconds:.0f} s"
        except (CheckFailed, ServerFault) as error:
            failed = str(error)
        self.found = self.found or [*await look(self.database_url, self.redis_url), *self.heard]
        raise CheckFailed("\n".join([failed, *(outage.line() for outage in self.found)]))

    def advice(self, otherwise: Advice) -> Callable[[], Advice]:
        """What to do, asked when the check has ended."""
        return lambda: Advice("uniassist doctor", self.found[0].row.advice) if self.holds else otherwise
