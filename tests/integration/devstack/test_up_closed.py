"""What `up` runs and keeps is closed to everybody else on the machine."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError
from tests.integration.devstack.system import System

from uniassist.devstack.server import Account
from uniassist.devstack.state import StateDirectory


@pytest.fixture(scope="module")
def running(server_directory: Path) -> Iterator[System]:
    """Started for real: what is forked has no command line of its own."""
    system = System(server_directory / "up-closed", for_real=True)
    asyncio.run(system.up())
    yield system
    system.end()


def redis_url(running: System) -> str:
    state = StateDirectory(running.directory).read()
    assert state is not None
    return state.redis_url


def test_the_embedded_redis_lets_nobody_in_without_its_password(running: System) -> None:
    url = redis_url(running)
    with Redis.from_url(url) as known:
        assert known.ping()
        port = known.get_connection_kwargs()["port"]
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    with Redis(port=port, password="wrong") as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_it_runs_without_privileges_and_writes_nothing(running: System) -> None:
    server = running.server("valkey-server")
    account = Account.unprivileged()
    assert server.uids().real == (account.uid if account is not None else os.geteuid())
    with Redis.from_url(redis_url(running)) as client:
        client.set("written", "x")
        with pytest.raises(ResponseError):
            client.save()
        assert client.config_get("save")["save"] == ""
        assert client.config_get("appendonly")["appendonly"] == "no"
    opened = {Path(file.path) for file in server.open_files()}
    assert opened <= {running.directory / "redis" / "redis.log"}
    assert [path.name for path in (running.directory / "redis").iterdir()] == ["redis.log"]


def test_no_command_line_and_no_stranger_s_file_has_a_password(running: System) -> None:
    state = StateDirectory(running.directory).read()
    assert state is not None
    secrets = [url.partition("@")[0].rpartition(":")[2] for url in (state.redis_url, state.database_url)]
    assert all(len(secret) >= 16 for secret in secrets)
    assert running.process is not None
    for process in (psutil.Process(running.process.pid), *running.family()):
        line = " ".join(process.cmdline())
        assert not any(secret in line for secret in secrets), line


def test_other_users_can_read_neither_state_nor_logs(running: System) -> None:
    """With a umask that would let them: the tests' own."""
    root = running.directory
    assert stat.S_IMODE(root.stat().st_mode) & 0o047 == 0, "group may at most pass through"
    assert stat.S_IMODE((root / "logs").stat().st_mode) == 0o700
    files = [path for path in root.rglob("*") if path.is_file() and "data" not in path.parts]
    assert {"state.json", "kept.json", "gateway.log", "worker.log", "redis.log", "password"} <= {
        path.name for path in files
    }
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_directory_of_an_older_release_is_closed_too(tmp_path: Path) -> None:
    old = tmp_path / "state"
    (old / "logs").mkdir(parents=True)
    (old / "logs" / "gateway.log").write_text("what people said", "utf-8")
    for path in (old, old / "logs"):
        path.chmod(0o755)
    with StateDirectory(old).locked():
        assert stat.S_IMODE((old / "logs").stat().st_mode) == 0o700
        assert stat.S_IMODE((old / "logs" / "gateway.log").stat().st_mode) == 0o600
        assert stat.S_IMODE(old.stat().st_mode) & 0o007 == 0
