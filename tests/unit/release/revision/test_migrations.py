from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.release.revision import migrations
from uniassist.store import migrate
from uniassist.store.migrate import head_revision


def files(*steps: tuple[str, str | None, str, str]) -> dict[str, str]:
    """(revision, the one below, kind, SQL) each as a pair of files."""
    found = {}
    for revision, below, kind, sql in steps:
        found[f"v/{revision}.py"] = (
            f'"""drop table: only a title"""\nrevision = "{revision}"\ndown_revision = {below!r}\nkind = "{kind}"\n'
            "def upgrade() -> None:\n    op.execute(read())\n"
        )
        found[f"v/{revision}.sql"] = sql
    return found


def objections(sql: str, kind: str = "expand") -> list[str]:
    return migrations.objections(migrations.read(files(("0002", "0001", kind, sql))).values())


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE sessions",
        "alter table sessions drop column state",
        "ALTER TABLE sessions RENAME TO talks",
        "ALTER TABLE sessions RENAME state TO memory",
        "ALTER TABLE sessions ALTER COLUMN seq TYPE integer",
        "ALTER TABLE sessions ALTER seq SET DATA TYPE integer",
        "ALTER TABLE sessions ALTER COLUMN subject SET NOT NULL",
        "TRUNCATE outbox_events",
        "ALTER TABLE sessions ADD COLUMN colour text NOT NULL",
    ],
)
def test_sql_that_takes_something_away_is_no_expansion(sql: str) -> None:
    assert len(objections(sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE colours (name text NOT NULL)",
        "ALTER TABLE sessions ADD COLUMN colour text",
        "ALTER TABLE sessions ADD COLUMN colour text NOT NULL DEFAULT 'red'",
        "ALTER TABLE sessions ALTER COLUMN subject DROP NOT NULL",
        "ALTER TABLE sessions DROP CONSTRAINT x; DROP INDEX y; CREATE INDEX y ON sessions (seq)",
        "-- one day: DROP TABLE sessions\nSELECT 1 /* DROP COLUMN */",
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE renamed (dropped text)",
    ],
)
def test_sql_that_only_adds_or_loosens_is_an_expansion(sql: str) -> None:
    assert objections(sql) == []


def test_a_contraction_and_a_file_that_says_nothing_are_objected_to() -> None:
    assert objections("SELECT 1", kind="contract") == [
        "0002 contracts; it is a command of its own, after the watch"
    ]
    assert objections("SELECT 1", kind="") == ["0002 doesn't say whether it expands (kind)"]


def test_operations_of_alembic_count_as_well() -> None:
    text = 'revision = "1"\ndown_revision = None\nkind = "expand"\ndef upgrade():\n    op.drop_column("a", "b")\n'
    down = 'def downgrade():\n    op.execute("DROP TABLE a")\n'
    assert migrations.objections(migrations.read({"v/1.py": text + down}).values()) == [
        "1 says it expands, but drops: drop column"
    ]
    assert migrations.objections(migrations.read({"v/1.py": text.replace("drop", "add") + down}).values()) == []


def test_what_is_pending_is_above_what_the_database_has() -> None:
    chain = migrations.read(
        files(("0001", None, "expand", ""), ("0002", "0001", "expand", ""), ("0003", "0002", "expand", ""))
    )
    assert [step.revision for step in migrations.pending(chain, "0001")] == ["0003", "0002"]
    assert migrations.pending(chain, "0003") == []
    assert migrations.pending(chain, "of a newer release") == []
    assert len(migrations.pending(chain, None)) == 3


def test_our_own_migrations_are_read_and_all_expand() -> None:
    folder = Path(migrate.__file__).parent / "migrations" / "versions"
    own = migrations.read({str(path): path.read_text() for path in folder.iterdir() if path.is_file()})
    assert head_revision() in own
    assert migrations.objections(own.values()) == []


def test_what_a_database_ran_already_is_known() -> None:
    files = {
        f"{n}.py": f'revision = "{n}"\ndown_revision = {repr(str(n - 1)) if n > 1 else None}\nkind = "expand"\n'
        for n in range(1, 5)
    }
    known = migrations.read(files)
    assert migrations.ran(known, "2") == {"1", "2"}
    assert migrations.ran(known, "4") == {"1", "2", "3", "4"}
    assert migrations.ran(known, None) == set()
    assert migrations.ran(known, "of a newer release") == set()
