"""Migrations: run by `uniassist db migrate` and `up`, never by a service.

Alembic keeps the order and the version; each revision is plain SQL and names its `kind`, expand or contract.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

# Two operators (or `up` and an operator) may migrate at once: the second waits and then finds nothing to run.
_MIGRATION_LOCK = 0x756E6961


@dataclass(frozen=True)
class MigrationStatus:
    """`current` is None for an empty database; `pending` holds (revision, kind, title), oldest first."""

    current: str | None
    head: str
    pending: list[tuple[str, str, str]]

    @property
    def up_to_date(self) -> bool:
        return not self.pending and self.current == self.head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _connect(url: str) -> Connection:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 10},
    )
    return engine.connect()


def upgrade(url: str, revision: str = "head") -> MigrationStatus:
    """Bring the database at `url` to `revision`; safe to repeat and to run twice at once."""
    config = _config()
    with _connect(url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
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
    with _connect(url) as connection:
        return _status(_config(), connection)


def head_revision() -> str:
    """The revision that this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is always a first migration"
    return head


def _status(config: Config, connection: Connection) -> MigrationStatus:
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    head = script.get_current_head()
    assert head is not None
    known = {step.revision for step in script.walk_revisions()}
    if current is not None and current not in known:
        return MigrationStatus(current, head, [])  # a newer release migrated it: expand-only, old code runs on
    steps = reversed(list(script.iterate_revisions(head, current)))
    pending = [(step.revision, str(getattr(step.module, "kind", "")), step.doc) for step in steps]
    return MigrationStatus(current, head, pending)
