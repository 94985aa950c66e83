"""What happens to Postgres: killed, restarted, read-only, on a slow disk, and its role taken by a standby."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import random
import shutil
import subprocess
from collections.abc import Iterator

import asyncpg
import psutil

from tests.chaos.faults import Fault, for_a_while
from tests.chaos.system import System
from tests.waiting import eventually
from uniassist.devstack.postgres import EmbeddedPostgres, binaries
from uniassist.devstack.server import Account

# How long a demoted primary goes on, refusing writes, with the connections that it has.
DEMOTED_SECONDS = (4.0, 8.0)
BACKUP_SECONDS = 60.0
STANDBY = "standby"

_FOLLOWS = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND sync_state = 'sync')"
_OLD_TRANSACTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < $1
"""


async def postgres_killed(system: System, chance: random.Random) -> None:
    system.postgres.process.kill()
    await for_a_while(chance, 0, 2)
    await asyncio.to_thread(system.postgres.start)


async def postgres_restarted(system: System, chance: random.Random) -> None:
    await asyncio.to_thread(system.postgres.stop)
    await for_a_while(chance, 0, 2)
    await asyncio.to_thread(system.postgres.start)


async def postgres_read_only(system: System, chance: random.Random) -> None:
    """As an operator, or a guard against a full disk, makes it."""
    await _set(system, "default_transaction_read_only = on")
    try:
        await for_a_while(chance, 0.5, 5)
    finally:
        await _set(system, "default_transaction_read_only = off")


async def postgres_on_a_slow_disk(system: System, chance: random.Random) -> None:
    """All its processes stand still in bursts, as while the disk takes nothing: commits wait, none is lost."""
    for _ in range(chance.randint(5, 20)):
        with standing_still(system.postgres):
            await for_a_while(chance, 0.05, 0.5)
        await for_a_while(chance, 0.02, 0.1)


@contextlib.contextmanager
def standing_still(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Each backend is in a process group of its own, so each is stopped by itself; the postmaster first.

    NoSuchProcess when another fault was faster.
    """
    pid = postgres.process.pid
    if pid is None:
        raise psutil.NoSuchProcess(0)
    postmaster = psutil.Process(pid)
    stopped: list[psutil.Process] = []
    try:
        postmaster.suspend()
        stopped.append(postmaster)
        for child in postmaster.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.suspend()
                stopped.append(child)
        yield
    finally:
        for process in reversed(stopped):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def postgres_failed_over(system: System, _: random.Random) -> None:
    """The primary dies, its synchronous standby is promoted, the name moves. The workers' last commits are lost."""
    standby = await _standby(system)
    old = system.postgres
    old.process.kill()
    await _promote(system, standby)
    await asyncio.to_thread(shutil.rmtree, old.directory, ignore_errors=True)


async def postgres_switched_over(system: System, chance: random.Random) -> None:
    """As planned: the old primary takes no more writes, and lives on with the connections that it has."""
    standby = await _standby(system)
    old = system.postgres
    await _set(system, "default_transaction_read_only = on")
    await _no_transaction_from_before(system)
    await _promote(system, standby)
    await system.go_on_demoted("Postgres", chance.uniform(*DEMOTED_SECONDS))
    old.process.kill()
    await asyncio.to_thread(shutil.rmtree, old.directory, ignore_errors=True)


async def _no_transaction_from_before(system: System) -> None:
    """None that may still write: those are what a switchover waits for, or ends."""
    await asyncio.sleep(0.2)  # every session reads the new setting between two statements
    began = dt.datetime.now(dt.UTC)

    async def none_left() -> bool:
        return bool(await system.outbox.pool.fetchval(_OLD_TRANSACTIONS, began) == 0)

    with contextlib.suppress(AssertionError):  # a worker that was stopped inside one can't commit it any more
        await eventually(none_left, "no transaction is from before", deadline_seconds=3)


async def _set(system: System, setting: str) -> None:
    connection = await asyncpg.connect(system.postgres.url, timeout=5)
    try:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close(timeout=5)


async def _standby(system: System) -> EmbeddedPostgres:
    """A copy that follows the primary; what was acknowledged as durable is on it from now on."""
    primary = system.postgres
    standby = EmbeddedPostgres(system.next_directory("postgres"), durable=False)
    system.at_end(standby.process.kill)
    await asyncio.to_thread(_copy, primary, standby)
    await asyncio.to_thread(standby.start)
    try:
        await _set(system, f"synchronous_standby_names = '{STANDBY}'")

        async def follows() -> bool:
            return bool(await system.outbox.pool.fetchval(_FOLLOWS, STANDBY))

        await eventually(follows, "the standby follows its primary", deadline_seconds=20)
    except BaseException as error:
        standby.process.kill()
        await _set(system, "synchronous_standby_names = ''")
        if isinstance(error, AssertionError):
            raise ConnectionError("no standby came to be") from error
        raise
    return standby


def _copy(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    account = Account.unprivileged()
    standby.directory.mkdir(mode=0o755)
    shutil.copy2(primary.directory / "password", standby.directory / "password")
    if account is not None:
        for path in (standby.directory, standby.directory / "password"):
            os.chown(path, account.uid, account.gid)
    source = f"{primary.url_for('postgres')}?application_name={STANDBY}"
    command = [str(binaries() / "pg_basebackup"), "-D", str(standby.data_directory), "-d", source]
    done = subprocess.run(
        [*command, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"],
        capture_output=True,
        text=True,
        timeout=BACKUP_SECONDS,
        check=False,
        cwd=standby.directory,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        raise ConnectionError(f"no copy of the primary: {done.stderr.strip()}")


async def _promote(system: System, standby: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(standby.url, timeout=5)
    try:
        assert await connection.fetchval("SELECT pg_promote(true, 30)"), "promoted"
    finally:
        await connection.close(timeout=5)
    await system.move_to_postgres(standby)
    await _set(system, "synchronous_standby_names = ''")
    await _set(system, "default_transaction_read_only = off")


POSTGRES_FAULTS: tuple[Fault, ...] = (
    postgres_killed,
    postgres_restarted,
    postgres_read_only,
    postgres_on_a_slow_disk,
    postgres_failed_over,
    postgres_switched_over,
)
