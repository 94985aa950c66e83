"""The embedded Postgres after a server that was killed."""

from __future__ import annotations

import signal
import threading

import psutil
import psycopg
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres


async def test_it_starts_when_the_last_process_of_one_that_was_killed_has_ended(
    own_postgres: EmbeddedPostgres,
) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.send_signal(signal.SIGSTOP)  # as one that a busy machine doesn't let run
        own_postgres.process.kill()
        starting = threading.Thread(target=own_postgres.prepare)
        starting.start()
        starting.join(0.5)
        assert starting.is_alive(), "it waits"
        backend.send_signal(signal.SIGCONT)
    await eventually(lambda: not starting.is_alive(), "it is ready to start")
    own_postgres.start()
    assert own_postgres.answers()
