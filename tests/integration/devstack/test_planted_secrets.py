"""A secret planted in every variable and URL shows up nowhere: not in what is printed or logged, nor in `ps`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.devstack.system import System
from tests.planted import PLANTED, planted, planted_url
from tests.ports import free_port
from tests.processes import ServiceProcess

from uniassist.cli import main
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

COMMANDS = (
    ("up",),
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("db", "status"),
    ("db", "migrate"),
    ("outbox", "stats"),
    ("outbox", "watch", "--for", "0"),
    ("wechat", "check"),
    ("smoke",),
    ("timeline", "a-session"),
    ("release", "status", "--env", "staging"),
    ("release", "preflight", "--env", "staging", "--rev", "HEAD"),
)


def faulty(fault: str, postgres: EmbeddedPostgres) -> dict[str, str]:
    where = {"wrong password": f"127.0.0.1:{postgres.port}", "refused": f"127.0.0.1:{free_port()}"}.get(fault)
    if where is not None:
        database = f"postgresql://postgres:{PLANTED}-pass@{where}/x?application_name={PLANTED}-query"
        return {"DATABASE_URL": database, "REDIS_URL": f"redis://:{PLANTED}-redis@{where}/0"}
    if fault == "unknown parameters":
        database = f"postgresql://postgres:{PLANTED}-pass@127.0.0.1:{postgres.port}/x?{PLANTED}-a={PLANTED}-b"
        return {
            "DATABASE_URL": database,
            "REDIS_URL": f"redis://:{PLANTED}@127.0.0.1:1/0?socket_timeout={PLANTED}-s",
        }
    if fault == "not quoted":
        return {"DATABASE_URL": f"postgresql://me:{PLANTED}/a?b#c@h:x/y", "REDIS_URL": f"redis://:{PLANTED}/[@h/0"}
    return {"DATABASE_URL": f"{PLANTED}-garbage", "REDIS_URL": f"{PLANTED}-garbage://"}


@pytest.mark.parametrize("fault", ["wrong password", "refused", "unknown parameters", "not quoted", "no URL"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_says_a_secret_whatever_is_wrong(
    fault: str,
    command: tuple[str, ...],
    postgres_server: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name not in ("PATH", "HOME", "LANG", "TMPDIR")]:
        monkeypatch.delenv(name)
    for name, value in {**planted(), **faulty(fault, postgres_server)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["uniassist", *command])
    with pytest.raises(SystemExit):
        main.main()
    out, err = capfd.readouterr()
    assert out + err
    assert PLANTED not in out + err, "\n".join(line for line in (out + err).splitlines() if PLANTED in line)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert [path.name for path in kept if path.stat().st_mode & 0o077] == []


@pytest.fixture(scope="module")
def given(
    server_directory: Path, postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis
) -> Iterator[System]:
    """A system on given servers, with secrets of ours in whatever has one."""
    system = System(
        server_directory / "up-planted",
        for_real=True,  # command lines are looked at
        DATABASE_URL=f"{postgres_server.url_for('postgres')}?application_name={PLANTED}-query",
        REDIS_URL=f"{redis_server.url.removesuffix('/0')}/9?client_name={PLANTED}-query",
        UNIASSIST_ADAPTER_SECRET=f"{PLANTED}-adapter",
        UNIASSIST_PROVIDER_CONTEXT_TOKEN=f"{PLANTED}-context",
        WECHAT_TOKEN=f"{PLANTED}-wechat",
        WECHAT_API_BASE_URL=planted_url("WECHAT", "http", "127.0.0.1:1"),
    )
    asyncio.run(system.up())
    yield system
    system.end()


def test_a_running_system_shows_none_to_anybody(given: System) -> None:
    shown = [given.said()]
    for command in (("status",), ("status", "--json"), ("doctor",), ("doctor", "--json")):
        done = given.run(*command)
        shown.append(done.stdout + done.stderr)
    shown += [path.read_text("utf-8", "replace") for path in (given.directory / "logs").iterdir()]
    assert given.process is not None
    shown += [" ".join(process.cmdline()) for process in (psutil.Process(given.process.pid), *given.family())]
    assert len(shown) > 12
    assert [text for text in shown if PLANTED in text] == []


def test_a_service_that_dies_of_a_bug_leaves_a_trace_without_secrets(
    postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A trace holds what the failing call was given."""
    process = ServiceProcess(
        "worker",
        tmp_path / "log",
        {"DATABASE_URL": postgres_server.url, "REDIS_URL": f"redis://:{PLANTED}-pass@127.0.0.1:1/0?x={PLANTED}-q"},
        module="tests.integration.devstack.buggy",
    )
    with pytest.raises(Exception, match="ended with 1"):
        process.start()
    said = (tmp_path / "log").read_text("utf-8")
    assert "RuntimeError" in said
    assert PLANTED not in said
