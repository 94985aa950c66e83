"""Migrations: run by `uniassist db migrate` and `up`, never by a service.

Alembic keeps the order and the version; each revision is plain SQL and names its `kind`, expand or contract. What
the server refuses is a ServerFault, as everywhere in the store.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from uniassist.errors import Away, ServerFault, StartError
from uniassist.settings.postgres_url import PostgresUrl
from uniassist.store import release
from uniassist.store.server import faults, pool
from uniassist.store.server import url as urls

# Two operators (or `up` and an operator) may migrate at once: the second waits and then finds nothing to run.
_MIGRATION_LOCK = 0x756E6961
_CONNECT_SECONDS = 10
# A large table takes as long as it takes, whatever the server's defaults say.
_NO_TIMEOUTS = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = 'on'; "
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)


@dataclass(frozen=True)
class MigrationStatus:
    """`current` is None for an empty database; `pending` holds (revision, kind, title), oldest first."""

    current: str | None
    head: str
    pending: list[tuple[str, str, str]]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    asyncio.run(_check(url))
    engine = create_engine("postgresql+psycopg://", creator=partial(_open, url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise _fault_of(error) from error


def _open(url: str) -> psycopg.Connection:
    """No statement stays prepared: behind a pooler the next transaction may have another session."""
    found = urls.parsed(url)
    seconds = int(found.connect_seconds or _CONNECT_SECONDS)
    return psycopg.connect(_conninfo(found), connect_timeout=seconds, prepare_threshold=None)


def _conninfo(url: PostgresUrl) -> str:
    """For libpq, what the services' driver is told."""
    more = {"application_name": url.application_name or "uniassist-migrate"}
    if url.hosts:
        more["host"] = ",".join(host for host, _ in url.hosts)
        more["port"] = ",".join(str(port) for _, port in url.hosts)
    if url.target:
        more["target_session_attrs"] = url.target
    return make_conninfo(url.dsn, **more)


async def _check(url: str) -> None:
    """By the services' own driver: the other one has no code for why it wasn't let in."""
    async with await pool.connect(url) as connection:
        server = await release.server(connection)
    if server.encoding != release.ENCODING:
        raise StartError(f"DATABASE_URL: {server.wrong_encoding}")


def _fault_of(error: DBAPIError) -> ServerFault:
    said = str(error.orig).partition("\n")[0]
    code = getattr(error.orig, "sqlstate", None)
    return faults.of_code(code, said) if code else Away("postgres", "the connection broke", said=said)


def upgrade(url: str, revision: str = "head") -> MigrationStatus:
    """Bring the database at `url` to `revision`; safe to repeat and to run twice at once."""
    config = _config()
    with _connected(url) as connection:
        # All in one transaction, which any pooler keeps on one session; the lock ends with it.
        connection.execute(text(_NO_TIMEOUTS))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
        return _status(config, connection)


def expand(url: str) -> MigrationStatus:
    """As `upgrade`, up to the first that contracts: old code may still run. An empty database gets all."""
    found = status(url)
    if found.current is None:
        return upgrade(url)
    expanding = list(itertools.takewhile(lambda step: step[1] != "contract", found.pending))
    return upgrade(url, expanding[-1][0]) if expanding else found


def status(url: str) -> MigrationStatus:
    """What the database at `url` has and what is still to run; changes nothing."""
    with _connected(url) as connection:
        return _status(_config(), connection)


def head_revision() -> str:
    """The revision that this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is always a first migration"
    return head


def _status(config: Config, connection: Connection) -> MigrationStatus:
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    head = head_revision()
    known = {step.revision for step in script.walk_revisions()}
    if current is not None and current not in known:
        return MigrationStatus(current, head, [])  # a newer release migrated it: expand-only, old code runs on
    steps = reversed(list(script.iterate_revisions(head, current)))
    pending = [(step.revision, str(getattr(step.module, "kind", "")), step.doc) for step in steps]
    return MigrationStatus(current, head, pending)
