"""Starts the process that watches, tells what it says, and ends as it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from uniassist.release.clock import length
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.report.place import place
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.watch.directory import WatchDirectory, WatchState
from uniassist.release.watch.order import WatchOptions, WatchOrder
from uniassist.release.watch.triggers.samples import Cadence

LOOK_SECONDS = 0.2


def start_and_follow(program: Sequence[str], options: WatchOptions, reporter: ReleaseReporter) -> ExitCode:
    """The exit code of the watch. `release run` calls it without the release's lock: a rollback takes that.

    program: the start of the command line of the process that watches; it gets the options and its log.

    It isn't run by `subprocesses`, since it outlives this process. Refused with 30 when somebody watches already.
    """
    directory = WatchDirectory(options.home, options.environment)
    if directory.look().is_watched:
        raise Refused(ExitCode.LOCKED, directory.said())
    log = directory.new_log()
    command = [*program, *options.arguments(), "--log", str(log)]
    # 0600: it is masked, but nobody else's.
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    reporter.say(f"process {process.pid} watches, also without this terminal; its log:")
    reporter.say(f"      {place(log)}")
    reporter.began("the watch begins…")
    with _passing_on_interrupts(process):
        code = _Follower(process, directory, log, reporter).follow()
    return ExitCode(code) if code in {int(known) for known in ExitCode} else ExitCode.BUG


def rehearse(order: WatchOrder, reporter: ReleaseReporter) -> None:
    """What would be watched, and what would be done about it."""
    say = reporter.say
    say(f"would prove the alarm, then watch for {length(order.for_seconds)}:")
    for service, url in order.urls.items():
        say(f"  {url}/health of {service} every {order.cadence.probe_seconds:g} s")
    say(f"  conformance, smoke and verify every {length(order.cadence.round_seconds)}")
    if order.checks.smoke is None:
        say(f"  without the smoke: {order.checks.no_smoke}")
    source = "the database" if order.database_url is not None else "the gateway's /v0/metrics"
    say(f"  dead letters and retries by {source}")
    say(f"on a trigger: {order.on_trigger}")


class _Follower:
    """Tells a watch's log as it grows, and how things are now."""

    def __init__(
        self, process: subprocess.Popen[bytes], directory: WatchDirectory, log: Path, reporter: ReleaseReporter
    ) -> None:
        self._process = process
        self._directory = directory
        self._log = log
        self._reporter = reporter
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
                    self._reporter.began(_now_line(state, time.time()))
                time.sleep(LOOK_SECONDS)  # a file that grows wakes nobody

    def _say_lines(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._reporter.say(line)
            if "ALERT: " in line:
                self._reporter.ring()


def _now_line(state: WatchState, now: float) -> str:
    """What fails first, so that a narrow terminal cuts off what is well."""
    if state.fired is not None:
        return "rolling back…"
    since = {name: seen.counted_seconds for name, seen in state.services.items()}
    services = sorted(state.services.items(), key=lambda item: (item[1].state == "ok", -since[item[0]]))
    fires = int(Cadence().failing_seconds)
    parts = [
        f"{_short(name)} "
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


def _short(service: str) -> str:
    """ "plan", "wechat"."""
    return service.removeprefix("provider-").removeprefix("adapter-")
