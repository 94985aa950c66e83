"""A container's first process, which the kernel spares every signal that it doesn't handle."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from tests.waiting import eventually

_APART = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child=SIGKILL")


def _has_namespaces() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*_APART, "true"], check=False).returncode == 0


@pytest.mark.skipif(not _has_namespaces(), reason="no process namespace can be made here")
async def test_one_that_is_told_to_end_before_it_listens_for_that_ends() -> None:
    """The migrations here, which wait for a Postgres that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as postgres:
        connections: list[socket.socket] = []
        port = postgres.getsockname()[1]
        postgres.setblocking(False)
        outer = psutil.Popen(
            [*_APART, sys.executable, "-m", "uniassist.cli.main", "db", "migrate"],
            env={**os.environ, "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/nothing"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:

            def asked() -> bool:
                assert outer.poll() is None, "it ended by itself"
                try:
                    connections.append(postgres.accept()[0])
                except BlockingIOError:
                    return False
                return True

            await eventually(asked, "it asks Postgres", 30)
            os.kill(outer.children()[0].pid, signal.SIGTERM)
            assert outer.wait(5) == 128 + signal.SIGTERM
        finally:
            if outer.is_running():
                outer.kill()
                outer.wait(5)
            for connection in connections:
                connection.close()
