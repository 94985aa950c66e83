"""A second server that follows the first, to be promoted in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
from redis import Redis

from uniassist.devstack.postgres import EmbeddedPostgres, binaries
from uniassist.devstack.redis import EmbeddedRedis


def standby_of(primary: EmbeddedPostgres, directory: Path) -> EmbeddedPostgres:
    """A running standby with a copy of the data. Stop it."""
    directory.mkdir()
    owner = primary.data_directory.stat()
    os.chown(directory, owner.st_uid, owner.st_gid)
    command = [str(binaries() / "pg_basebackup"), "-d", primary.url_for("postgres"), "-D", str(directory / "data")]
    subprocess.run(
        [*command, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
        check=True,
        timeout=60,
        cwd=directory,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        capture_output=True,
    )
    shutil.copy(primary.directory / "password", directory / "password")
    os.chown(directory / "password", owner.st_uid, owner.st_gid)
    standby = EmbeddedPostgres(directory, durable=False)
    standby.start()
    return standby


def promote(standby: EmbeddedPostgres) -> None:
    with psycopg.connect(standby.url_for("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_promote(true, 30)")


def replicates(primary: EmbeddedRedis, replica: EmbeddedRedis) -> bool:
    """Whether `replica` has what `primary` has; told to follow it the first time."""
    with Redis.from_url(replica.url) as asked:
        found = asked.info("replication")
        if found["role"] == "master":
            asked.execute_command("REPLICAOF", "127.0.0.1", str(primary.port))
            return False
        return bool(found["master_link_status"] == "up")


def set_read_only(server: EmbeddedPostgres, *, to: bool) -> None:
    """For the sessions that are open as well, which stay open."""
    with psycopg.connect(server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        if to:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        else:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
