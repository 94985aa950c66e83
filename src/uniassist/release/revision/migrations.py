"""Whether migrations only expand, read from the revision's files without running them.

While a release goes on, and after a rollback, the old code runs on the new schema; a migration that takes something
away from it is a command of its own, later.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

FOLDER = "src/uniassist/store/migrations/versions"
# Marked as expanding, but taking something away all the same. Loosening (DROP NOT NULL, DROP CONSTRAINT) is fine.
_TAKES_AWAY = {
    "drops": re.compile(
        r"\bDROP\s+(?:TABLE|COLUMN|VIEW|MATERIALIZED\s+VIEW|TYPE|SCHEMA|FUNCTION)\b", re.IGNORECASE
    ),
    "renames": re.compile(r"\bRENAME\s+(?:TO|COLUMN|CONSTRAINT|VALUE|\w+\s+TO)\b", re.IGNORECASE),
    "changes a type": re.compile(r"\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b", re.IGNORECASE),
    "forbids null": re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE),
    "empties": re.compile(r"\bTRUNCATE\b", re.IGNORECASE),
}
_ADDED_COLUMN = re.compile(r"\bADD\s+COLUMN\b[^,;]*", re.IGNORECASE)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Migration:
    """One migration, as its files say.

    kind: expand, contract or nothing.
    sql: all that it may run.
    """

    revision: str
    down_revision: str | None
    kind: str
    name: str
    sql: str


def read(files: Mapping[str, str]) -> dict[str, Migration]:
    """Migrations by revision, from the texts of a versions folder by path."""
    found: dict[str, Migration] = {}
    for path, text in files.items():
        if not path.endswith(".py") or PurePosixPath(path).name == "__init__.py":
            continue
        tree = ast.parse(text, filename=path)
        said = _assignments(tree)
        if "revision" not in said:
            continue
        beside = files.get(path.removesuffix(".py") + ".sql", "")
        literals = " ; ".join(_strings(tree))
        revision = str(said["revision"])
        down = said.get("down_revision")
        found[revision] = Migration(
            revision,
            None if down is None else str(down),
            str(said.get("kind", "")),
            PurePosixPath(path).stem,
            _SQL_COMMENT.sub(" ", f"{beside} ; {literals}"),
        )
    return found


def pending(migrations: Mapping[str, Migration], current: str | None) -> list[Migration]:
    """Those that a database at `current` still has to run, newest first; none when `current` is unknown here."""
    if current is not None and current not in migrations:
        return []
    bases = {migration.down_revision for migration in migrations.values()}
    waiting = []
    for head in (revision for revision in migrations if revision not in bases):
        step: str | None = head
        while step is not None and step != current:  # ends: each revision is below the one before
            waiting.append(migrations[step])
            step = migrations[step].down_revision
    return waiting


def ran(migrations: Mapping[str, Migration], current: str | None) -> set[str]:
    """Those that a database at `current` has behind it."""
    waiting = {migration.revision for migration in pending(migrations, current)}
    return set(migrations) - waiting if current in migrations else set()


def objections(new: Iterable[Migration]) -> list[str]:
    """Why these may not run before the new code: empty when all of them expand."""
    found = []
    for migration in new:
        if migration.kind == "contract":
            found.append(f"{migration.name} contracts; it is a command of its own, after the watch")
        elif migration.kind != "expand":
            found.append(f"{migration.name} doesn't say whether it expands (kind)")
        elif why := _takes_away(migration.sql):
            found.append(f"{migration.name} says it expands, but {why}")
    return found


def _takes_away(sql: str) -> str | None:
    for what, pattern in _TAKES_AWAY.items():
        if match := pattern.search(sql):
            return f"{what}: {' '.join(match[0].split())}"
    for column in _ADDED_COLUMN.findall(sql):
        upper = column.upper()
        if "NOT NULL" in upper and "DEFAULT" not in upper and "GENERATED" not in upper:
            return f"adds a column that old code can't fill: {' '.join(column.split())[:60]}"
    return None


def _assignments(tree: ast.Module) -> dict[str, object]:
    """The module's `name = "constant"` lines."""
    found: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found[target.id] = node.value.value
    return found


def _strings(tree: ast.Module) -> Iterable[str]:
    """What the upgrade may run: its strings, and names of operations such as op.drop_column as words."""
    upgrades = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade")
    for node in (inner for upgrade in upgrades for inner in ast.walk(upgrade)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr.replace("_", " ")
