"""`uniassist release watch`: starts the process that watches, shows what it says, and ends as it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import msgspec
import typer

from uniassist.cli.release_environment import (
    DryRun,
    Env,
    EnvFile,
    Environment,
    Json,
    Rev,
    Screen,
    StateDir,
    ended_with,
    ending,
)
from uniassist.cli.release_watch_order import Options, order_of
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records import DEFAULT_DIRECTORY
from uniassist.release.watch import credentials
from uniassist.release.watch.directory import WatchDirectory, WatchState
from uniassist.release.watch.samples import Cadence
from uniassist.release.watch.session import Order

LOOK_SECONDS = 0.2
_SHORT = {"provider-plan": "plan", "adapter-wechat": "wechat"}


def run(
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 15m, 1h.")] = "15m",
    on_trigger: Annotated[
        str, typer.Option("--on-trigger", help="rollback, or hold: alert, and leave it to a person.")
    ] = "rollback",
    rev: Rev = None,
    thresholds: Annotated[
        Path | None,
        typer.Option("--thresholds", metavar="FILE", help="Default: ops/deploy/<env>/thresholds.toml."),
    ] = None,
    rolled_out_at: Annotated[
        str | None,
        typer.Option("--rolled-out-at", metavar="TIME", help="The hour before is the baseline of the rates."),
    ] = None,
    env: Env = "staging",
    env_file: EnvFile = None,
    state_dir: StateDir = None,
    driver: Annotated[str, typer.Option("--driver", help="For the rollback: local, exec or manual.")] = "local",
    driver_file: Annotated[
        Path | None, typer.Option("--driver-file", metavar="FILE", help="For the rollback: exec's commands.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """After a rollout: rolls back by itself when a trigger fires.

    Triggers: a service's health fails for 3 minutes; conformance, smoke and verify by URL fail twice in a row; dead
    letters or retries rise above the agreed threshold. An outage of Postgres or Redis, or no data, only alerts.

    It goes on when the terminal is closed; Ctrl-C ends it. Needs the URLs that verify needs. Exit codes: 0 quiet,
    20 rolled back and verified, 21 rollback incomplete, 22 a trigger fired and is held, 30 somebody watches
    already, 41 it couldn't judge at its end, 130 ended by a person.
    """
    with ending():
        environment = Environment.load(env, env_file)
    with ending(environment.mask):
        home = (state_dir or DEFAULT_DIRECTORY).absolute()
        options = Options(
            env, env_file, home, rev, duration, on_trigger, thresholds, rolled_out_at, driver, driver_file
        )
        order = order_of(options, environment)
        screen = Screen(environment.mask, as_json)
        if dry_run:
            _say_plan(screen, order)
            return
        asyncio.run(credentials.check(order.checks.subject))
        code = start_and_follow(options, screen)
        state = WatchDirectory(home, env).look().state
        screen.document(msgspec.to_builtins(state) if state is not None else {})
    raise ended_with(code)


def start_and_follow(options: Options, screen: Screen) -> ExitCode:
    """Also for `release run`, which must not hold the release's lock then: a rollback takes it.

    Refused with 30 when somebody watches already.
    """
    directory = WatchDirectory(options.home, options.environment)
    if directory.look().is_watched:
        raise Refused(ExitCode.LOCKED, directory.said())
    log = directory.new_log()
    command = [sys.executable, "-m", "uniassist.cli.release_watch_process", *options.arguments(), "--log", str(log)]
    # 0600: it is masked, but nobody else's.
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    screen.say(f"process {process.pid} watches, also without this terminal; its log: {log}")
    with _passing_on_interrupts(process):
        code = Follower(process, directory, log, screen).follow()
    return ExitCode(code) if code in {int(known) for known in ExitCode} else ExitCode.BUG


class Follower:
    """Shows a watch's log as it grows and, on a terminal, how things are now."""

    def __init__(
        self, process: subprocess.Popen[bytes], directory: WatchDirectory, log: Path, screen: Screen
    ) -> None:
        self._process = process
        self._directory = directory
        self._log = log
        self._screen = screen
        self._rest = ""

    def follow(self) -> int:
        """Until its process ends: its exit code."""
        with self._log.open(encoding="utf-8", errors="replace") as log:
            while True:  # ends: with the process, which has its own end
                has_ended = self._process.poll() is not None
                self._say_lines(log.read())
                if has_ended:
                    return int(self._process.returncode)
                state = self._directory.look().state
                if state is not None and state.pid == self._process.pid and state.ended is None:
                    self._screen.began(now_line(state, time.time()))
                time.sleep(LOOK_SECONDS)  # a file that grows wakes nobody

    def _say_lines(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._screen.say(line)
            if "ALERT: " in line:
                self._screen.ring()


def now_line(state: WatchState, now: float) -> str:
    """What fails first, so that a narrow terminal cuts off what is well."""
    if state.fired is not None:
        return "rolling back…"
    since = {name: seen.counted_seconds for name, seen in state.services.items()}
    services = sorted(state.services.items(), key=lambda item: (item[1].state == "ok", -since[item[0]]))
    fires = int(Cadence().failing_seconds)
    parts = [
        f"{_SHORT.get(name, name)} "
        + (f"FAILING {seen.counted_seconds:.0f}/{fires} s" if seen.state == "failing" else seen.state)
        for name, seen in services
    ]
    left = max(0, int(datetime.fromisoformat(state.until).timestamp() - now))
    checks = f"checks {state.last_round or 'under way'}"
    return " · ".join([f"{left // 60}:{left % 60:02d} left", *parts, checks])


@contextmanager
def _passing_on_interrupts(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ctrl-C ends the watch; a hang-up ends only us."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM)

    kept = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _say_plan(screen: Screen, order: Order) -> None:
    screen.say(f"would prove the alarm, then watch for {order.for_seconds / 60:g} min:")
    for service, url in order.urls.items():
        screen.say(f"  {url}/health of {service} every {order.cadence.probe_seconds:g} s")
    screen.say(f"  conformance, smoke and verify every {order.cadence.round_seconds / 60:g} min")
    if order.checks.smoke is None:
        screen.say(f"  without the smoke: {order.checks.no_smoke}")
    source = "the database" if order.database_url is not None else "the gateway's /v0/metrics"
    screen.say(f"  dead letters and retries by {source}")
    screen.say(f"on a trigger: {order.on_trigger}")
