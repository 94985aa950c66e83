"""A contracting migration is held back until it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.config import Config

from uniassist.store import migrate

_STEP = """\
from alembic import op

revision = "{0}"
down_revision = "{1}"
kind = "{2}"


def upgrade() -> None:
    op.execute("{3}")
"""


@pytest.fixture
def more_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three beyond the head: one that expands, one that contracts, one that expands again."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrate.__file__).parent / "migrations", folder)
    last = migrate.head_revision()
    for revision, kind, sql in (
        ("x1", "expand", "CREATE TABLE one (id int)"),
        ("x2", "contract", "DROP TABLE one"),
        ("x3", "expand", "CREATE TABLE three (id int)"),
    ):
        (folder / "versions" / f"{revision}.py").write_text(_STEP.format(revision, last, kind, sql))
        last = revision

    def config() -> Config:
        found = Config()
        found.set_main_option("script_location", str(folder))
        found.set_main_option("path_separator", "os")
        return found

    monkeypatch.setattr(migrate, "_config", config)


@pytest.mark.usefixtures("more_migrations")
def test_expanding_stops_before_what_takes_something_away(database_url: str) -> None:
    for _ in range(2):  # the second has nothing to do
        found = migrate.expand(database_url)
        assert (found.current, [step[0] for step in found.pending]) == ("x1", ["x2", "x3"])
    assert migrate.upgrade(database_url).current == "x3"
    assert migrate.expand(database_url).current == "x3"


@pytest.mark.usefixtures("more_migrations")
def test_an_empty_database_has_nothing_to_lose(empty_database_url: str) -> None:
    assert migrate.expand(empty_database_url).current == "x3"
