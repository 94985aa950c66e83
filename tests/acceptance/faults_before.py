"""Faults that are seen before any service is touched."""

from __future__ import annotations

import json

from tests.acceptance.base import Base
from tests.acceptance.faults import Case, Fault

_MIGRATION = '''"""A change of the schema."""

revision = "0099"
down_revision = "{below}"
kind = "{kind}"


def upgrade() -> None:
    from alembic import op

    op.execute("{sql}")


def downgrade() -> None:
    raise NotImplementedError
'''
VERSIONS = "src/uniassist/store/migrations/versions"


def migration(base: Base, tag: str, kind: str, sql: str) -> None:
    """A revision with one more migration."""
    site = base.site
    last = sorted((site.clone / VERSIONS).glob("0*.py"))[-1]
    below = next(line.split('"')[1] for line in last.read_text().splitlines() if line.startswith("revision"))
    text = _MIGRATION.format(below=below, kind=kind, sql=sql)
    site.release_of(tag, lambda: (site.clone / VERSIONS / "0099_change.py").write_text(text))


def placeholder(base: Base, case: Case) -> None:
    """WECHAT_TOKEN is still what the example says"""
    env = base.site.write_env("placeholder.env", WECHAT_TOKEN="change-me")
    case.noticed_by(base.release("preflight", "--rev", "v2", env_file=env), 10, "WECHAT_TOKEN: still a placeholder")
    case.untouched(base)


def moved_tag(base: Base, case: Case) -> None:
    """the tag was moved after it was first seen"""
    base.site.release_of("v2-moved", lambda: (base.site.clone / "note").write_text("a"))
    base.site.approve("v2-moved", base.good)
    base.site.records.pin("v2-moved", base.site.git("rev-parse", "v2-moved^{commit}"))
    base.site.git("tag", "-f", "-a", "v2-moved", "-m", "moved", "v2")
    case.noticed_by(base.release("rollout", "--rev", "v2-moved", "--yes"), 10, "the tag v2-moved was moved")
    case.untouched(base)


def contracting(base: Base, case: Case) -> None:
    """its migration drops a column that v1 uses"""
    migration(base, "v2-contract", "expand", "ALTER TABLE sessions DROP COLUMN last_activity_at")
    base.site.approve("v2-contract", base.good)
    preflight = base.release("preflight", "--rev", "v2-contract")
    case.noticed_by(preflight, 10, "0099_change says it expands, but drops")
    case.noticed_by(base.release("rollout", "--rev", "v2-contract", "--yes"), 10, "not found ready")
    case.untouched(base)


def no_gate(base: Base, case: Case) -> None:
    """nobody ran the gate for this env set"""
    base.site.approve("v2", base.good)
    commit = base.site.git("rev-parse", "v2^{commit}")
    gate = base.site.records.of_commit(commit)["gate"]
    base.site.records.know(commit, gate=gate | {"envDigest": "0" * 64})
    case.noticed_by(base.release("rollout", "--rev", "v2", "--yes"), 11, "with another env set")
    case.untouched(base)


def tampered(base: Base, case: Case) -> None:
    """the wheel isn't the one that preflight and gate saw"""
    base.site.broken("v2-tampered", "worker", "pass")
    base.site.approve("v2-tampered", base.good)
    commit = base.site.git("rev-parse", "v2-tampered^{commit}")
    known = base.site.records.of_commit(commit)
    wrong = {"wheelSha256": "0" * 64}
    base.site.records.know(commit, preflight=known["preflight"] | wrong, gate=known["gate"] | wrong)
    ended = base.release("rollout", "--rev", "v2-tampered", "--yes")
    case.noticed_by(ended, 10, "preflight's was 0000000000000000")
    case.untouched(base)


def postgres_gone(base: Base, case: Case) -> None:
    """Postgres is down when the rollout begins"""
    base.site.approve("v2", base.good)
    base.site.postgres.stop()
    try:
        preflight = base.release("preflight", "--rev", "v2")
        case.noticed_by(preflight, 10, "DATABASE_URL: can't connect")
        base.site.approve("v2", base.good)
        case.noticed_by(base.release("rollout", "--rev", "v2", "--yes"), 10, "can't connect")
    finally:
        base.site.postgres.start()
    case.untouched(base)


def disk_full(base: Base, case: Case) -> None:
    """no file may grow beyond 4 KiB, as on a full disk"""
    base.site.approve("v2", base.good)
    full = ("prlimit", "--fsize=4096")
    ended = base.release("rollout", "--rev", "v2", "--yes", prefix=full)
    case.noticed_by(ended, 10, "File size limit exceeded")
    case.untouched(base)


def unwritable(base: Base, case: Case) -> None:
    """the folder of the runs is a file"""
    base.site.approve("v2", base.good)
    runs, aside = base.site.home / "runs", base.site.home / "runs-aside"
    runs.rename(aside)
    runs.write_text("")
    try:
        case.noticed_by(base.release("rollout", "--rev", "v2", "--yes"), 10, "can't be")
    finally:
        runs.unlink()
        aside.rename(runs)
    case.untouched(base)


def somebody_else(base: Base, case: Case) -> None:
    """another operator holds the lock"""
    import fcntl

    base.site.approve("v2", base.good)
    lock = base.site.home / "environments" / "staging" / "lock"
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = {"owner": "kim", "host": "desk", "pid": 1, "since": "07:00", "why": "rollout of v7"}
        held.truncate(0)
        held.write(json.dumps(said))
        held.flush()
        ended = base.release("rollout", "--rev", "v2", "--yes")
    case.noticed_by(ended, 30, "locked by kim on desk", "rollout of v7")
    case.untouched(base)


FAULTS: dict[str, Fault] = {
    "placeholder in the env set": placeholder,
    "tag moved": moved_tag,
    "migration that contracts": contracting,
    "gate of another env set": no_gate,
    "wheel not the one that was tested": tampered,
    "Postgres gone before the rollout": postgres_gone,
    "disk full": disk_full,
    "unwritable folder": unwritable,
    "two operators": somebody_else,
}
