"""`uniassist up`: servers, migrations, services; then watching them until a signal, then draining them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.error
from collections.abc import Callable
from types import FrameType

from uniassist.devstack import plan as plans
from uniassist.devstack.child import Child, Program, check_runs, wait_or_raise
from uniassist.devstack.direct import direct
from uniassist.devstack.logs import LogTail, bound
from uniassist.devstack.plan import Plan
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.server import free_port, port_is_taken
from uniassist.devstack.state import RunState, ServiceState, StateDirectory
from uniassist.streams.lane_clients import LaneClients

LOOK_SECONDS = 0.2
READY_SECONDS = 40.0
DRAIN_SECONDS = 20.0


class StartInterrupted(Exception):
    """Asked to stop while starting."""


class Supervisor:
    """One thread, no loop but its own: children die with the thread that started them."""

    def __init__(self, directory: StateDirectory, plan: Plan, say: Callable[[str], None], *, verbose: bool) -> None:
        self._directory = directory
        self._plan = plan
        self._say = say
        self._threshold = "info" if verbose else "warning"
        self._servers: list[Child] = []
        self._services: list[Child] = []
        self._programs: list[Program] = []
        self._tails: list[LogTail] = []
        self._database_url = plan.database_url or ""
        self._redis_url = plan.redis_url or ""
        self._since = time.time()
        self._signals = 0

    @property
    def state(self) -> RunState:
        return self._state(ready=True)

    def listen_to_signals(self) -> None:
        """The first asks to drain, the second ends at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def start(self) -> None:
        """Everything up and healthy, or StartError, with nothing left running."""
        try:
            self._directory.write(self._state(ready=False))
            plans.check_ports(self._plan)
            self._start_servers()
            self._check_asked()
            from uniassist.store import migrate  # loads Alembic, which `status` and `down` have no use for

            status = migrate.upgrade(self._database_url)
            self._say(f"database  schema {status.current}")
            self._start_services()
            self._directory.write(self._state(ready=True))
        except BaseException:
            self.stop(quietly=True)
            raise

    def watch(self) -> None:
        """Until a signal."""
        while not self._signals:
            now = time.monotonic()
            changed = [child.look(now) for child in (*self._servers, *self._services)]
            if any(changed):
                self._directory.write(self._state(ready=True))
            for tail in self._tails:
                tail.show_new()
            for log in self._directory.logs.glob("*.log"):
                bound(log)
            time.sleep(LOOK_SECONDS)  # children, logs and their sizes are all looked at; a signal ends it

    def stop(self, *, quietly: bool = False) -> None:
        """Services first, in the order that loses no time, then the servers."""
        by_name = {child.name: child for child in self._services}
        for name in plans.STOP_ORDER:
            if (child := by_name.get(name)) is not None:
                self._stop_one(child, quietly=quietly)
        for child in reversed(self._servers):
            self._stop_one(child, quietly=quietly)
        for tail in self._tails:
            tail.show_new()

    def _stop_one(self, child: Child, *, quietly: bool) -> None:
        if child.pid is None:
            return
        if not quietly:
            self._say(f"stopping  {child.name}")
        child.runnable.ask_to_stop()
        end = time.monotonic() + DRAIN_SECONDS
        while child.pid is not None:
            if self._signals > 1 or time.monotonic() > end:
                self._say(f"killing   {child.name}")
                child.runnable.process.kill()
            time.sleep(0.02)  # a second signal kills at once, so it isn't waited for in one piece

    def _start_servers(self) -> None:
        if self._plan.database_url is None:
            port = self._free("postgres")
            server = EmbeddedPostgres(self._directory.path / "postgres", port=port)
            if not (server.data_directory / "PG_VERSION").exists():
                self._say("postgres  making a new database…")
            self._servers.append(Child("postgres", server, self._say))
            server.start()
            self._database_url = server.url
            self._say(f"postgres  ready on port {port} (embedded)")
        if self._plan.redis_url is not None:
            asyncio.run(check_redis(self._plan.redis_url))
        else:
            port = self._free("redis")
            password = self._directory.secret("REDIS_PASSWORD")
            redis = EmbeddedRedis(self._directory.path / "redis", port=port, password=password)
            self._servers.append(Child("redis", redis, self._say))
            redis.start()
            self._redis_url = redis.url
            self._say(f"redis     ready on port {port} (embedded)")

    def _free(self, server: str) -> int:
        port = self._directory.port(server, free_port())
        if port_is_taken(port):  # somebody took it while we were away; clients of ours hear of the new one
            self._directory.forget_port(server)
            port = self._directory.port(server, free_port())
        return port

    def _start_services(self) -> None:
        self._programs = plans.programs(
            self._plan, self._directory, database_url=self._database_url, redis_url=self._redis_url
        )
        for program in self._programs:
            child = Child(program.name, program.runnable(), self._say)
            self._tails.append(LogTail(program.name, program.log, self._say, threshold=self._threshold))
            self._services.append(child)
            child.runnable.start()
        self._directory.write(self._state(ready=False))
        for program, child in zip(self._programs, self._services, strict=True):
            self._wait_for(program, child)

    def _wait_for(self, program: Program, child: Child) -> None:
        def is_ready() -> bool:
            self._check_asked()
            for other in self._services:
                check_runs(other)
            return answers(f"{program.url}/health")

        wait_or_raise(child, is_ready, READY_SECONDS)
        self._say(f"{program.name}  ready on {program.url}")

    def _check_asked(self) -> None:
        if self._signals:
            raise StartInterrupted

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _state(self, *, ready: bool) -> RunState:
        services = [
            ServiceState(program.name, program.url, child.pid, child.restarts)
            for program, child in zip(self._programs, self._services, strict=False)
        ]
        return RunState(os.getpid(), self._since, ready, self._database_url, self._redis_url, services)


async def check_redis(url: str) -> None:
    """ServerFault when the given Redis doesn't answer: better now than from four services."""
    async with LaneClients.to_look(url) as clients:
        await clients.each(lambda redis, _lane: redis.ping())


def answers(url: str, deadline_seconds: float = 2.0) -> bool:
    """Whether a GET of the URL is answered with 200."""
    try:
        with direct.open(url, timeout=deadline_seconds) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
