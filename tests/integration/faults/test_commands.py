"""No command prints a traceback for a fault of a server: one line, with the variable and the words for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import forking
from tests.ports import free_port
from tests.server_faults import CONNECTING, REDIS, SILENT, FaultyPostgres, silent_port

from uniassist.cli import main
from uniassist.devstack.plan import PORT_VARIABLES

OUTBOX = (
    ("outbox", "stats"),
    ("outbox", "list", "--status", "failed"),
    ("outbox", "show", "some-event"),
    ("outbox", "watch", "--for", "0"),
    ("outbox", "replay", "--all"),
    ("outbox", "pause"),
    ("outbox", "resume"),
)
DATABASE = (*OUTBOX, ("db", "status"), ("db", "migrate"))
CHECKS = (("smoke", "--gateway-url", "http://127.0.0.1:1"), ("conformance",))
DRILL = ("drill", "worker", "--mode", "live")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`uniassist …` here, with just these variables."""

    def run(arguments: tuple[str, ...], **env: str) -> Ended:
        monkeypatch.chdir(tmp_path)
        for name in [name for name in os.environ if name not in ("PATH", "HOME", "LANG", "TMPDIR")]:
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["uniassist", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run


def told(ended: Ended) -> list[str]:
    """Its lines but for what says, on a slow machine, what it waits for."""
    return [line for line in ended.err.splitlines() if "asking " not in line]


def said(ended: Ended, code: int, variable: str, words: str) -> None:
    """One line, whatever the command said before: that it had begun, and what it waits for."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.out + ended.err
    lines = told(ended)
    assert len(lines) == 1, ended.err
    assert lines[0].startswith(f"uniassist: {variable}: "), ended.err
    assert words in ended.err
    assert "let-me-in" not in ended.out + ended.err


@pytest.mark.parametrize("command", [*DATABASE, *CHECKS], ids=" ".join)
@pytest.mark.parametrize("fault", CONNECTING)
def test_a_database_that_cannot_be_used(
    run: Run, faulty_postgres: FaultyPostgres, redis_url: str, command: tuple[str, ...], fault: str
) -> None:
    ended = run(command, DATABASE_URL=faulty_postgres.url(fault), REDIS_URL=redis_url)
    said(ended, 1, "DATABASE_URL", CONNECTING[fault])


@pytest.mark.parametrize("fault", CONNECTING)
def test_a_database_that_cannot_be_used_by_a_drill(
    run: Run, faulty_postgres: FaultyPostgres, redis_url: str, tmp_path: Path, fault: str
) -> None:
    report = str(tmp_path / "drill.md")
    ended = run(
        DRILL,
        DATABASE_URL=faulty_postgres.url(fault),
        REDIS_URL=redis_url,
        WORKER_DRILL_OUTPUT_PATH=report,
    )
    said(ended, 10, "DATABASE_URL", CONNECTING[fault])


@pytest.mark.parametrize("fault", CONNECTING)
def test_the_doctor_names_the_database_fault(
    run: Run, faulty_postgres: FaultyPostgres, redis_url: str, fault: str
) -> None:
    ended = run(("doctor", "--json"), DATABASE_URL=faulty_postgres.url(fault), REDIS_URL=redis_url)
    assert (ended.code, told(ended)) == (1, [])
    assert CONNECTING[fault] in ended.out
    assert "let-me-in" not in ended.out


@pytest.mark.parametrize("command", [("outbox", "stats"), ("db", "status")], ids=" ".join)
def test_a_database_that_says_nothing(run: Run, command: tuple[str, ...]) -> None:
    with silent_port() as port:
        said(run(command, DATABASE_URL=f"postgresql://me@127.0.0.1:{port}/x"), 1, "DATABASE_URL", SILENT)


@pytest.mark.parametrize("command", DATABASE, ids=" ".join)
def test_a_role_without_rights(run: Run, faulty_postgres: FaultyPostgres, command: tuple[str, ...]) -> None:
    ended = run(command, DATABASE_URL=faulty_postgres.of_role("without_rights"))
    said(ended, 1, "DATABASE_URL", "postgres: no permission")


@pytest.mark.parametrize(
    "command", [("outbox", "replay", "--all"), ("outbox", "pause"), ("outbox", "resume")], ids=" ".join
)
def test_a_session_that_only_reads(run: Run, faulty_postgres: FaultyPostgres, command: tuple[str, ...]) -> None:
    ended = run(command, DATABASE_URL=faulty_postgres.of_role("only_reading"))
    said(ended, 1, "DATABASE_URL", "postgres: read-only")
    assert run(("outbox", "stats"), DATABASE_URL=faulty_postgres.of_role("only_reading")).code == 0


@pytest.mark.parametrize("command", OUTBOX, ids=" ".join)
def test_a_database_that_was_never_migrated(run: Run, empty_database_url: str, command: tuple[str, ...]) -> None:
    words = "postgres: no schema (next: uniassist db migrate)"
    said(run(command, DATABASE_URL=empty_database_url), 1, "DATABASE_URL", words)


@pytest.mark.parametrize("fault", REDIS)
def test_a_redis_that_cannot_be_used(
    run: Run, faulty_redis: Callable[[str], str], database_url: str, tmp_path: Path, fault: str
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": faulty_redis(fault)}
    found = run(("doctor", "--json"), **env)
    assert (found.code, told(found)) == (1, [])
    assert REDIS[fault] in found.out
    said(run(("conformance",), **env), 1, "REDIS_URL", REDIS[fault])
    drilled = run(DRILL, **env, WORKER_DRILL_OUTPUT_PATH=str(tmp_path / "drill.md"))
    said(drilled, 10, "REDIS_URL", REDIS[fault])


@pytest.mark.parametrize("fault", ["wrong password", "no database", "no Postgres"])
def test_up_on_a_database_that_cannot_be_used_starts_nothing(
    faulty_postgres: FaultyPostgres, redis_url: str, tmp_path: Path, fault: str
) -> None:
    ended = up(tmp_path, DATABASE_URL=faulty_postgres.url(fault), REDIS_URL=redis_url)
    said(ended, 1, "DATABASE_URL", CONNECTING[fault])


@pytest.mark.parametrize("fault", ["no password given", "no Redis"])
def test_up_on_a_redis_that_cannot_be_used_starts_nothing(
    faulty_redis: Callable[[str], str], database_url: str, tmp_path: Path, fault: str
) -> None:
    ended = up(tmp_path, DATABASE_URL=database_url, REDIS_URL=faulty_redis(fault))
    said(ended, 1, "REDIS_URL", REDIS[fault])


def up(folder: Path, **env: str) -> Ended:
    """As a process: it listens to signals."""
    ports = {name: str(free_port()) for name in PORT_VARIABLES.values()}
    env = {"PATH": os.environ["PATH"], **ports, **env}
    done = forking.ended(["up", "--state-dir", str(folder / "state")], env=env)
    return Ended(done.returncode, done.stdout, done.stderr)
