"""`uniassist up | down | status`: the whole system on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import psutil
import typer
from rich.console import Console
from sqlalchemy.exc import OperationalError

from uniassist.cli.where import StateDir, own_command
from uniassist.devstack import plan as plans
from uniassist.devstack import screen
from uniassist.devstack.state import DEFAULT_DIRECTORY, RunState, StateDirectory
from uniassist.devstack.supervisor import Interrupted, Supervisor
from uniassist.errors import StartError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts; it holds the servers' passwords.")]
DETACH_SECONDS = 90.0
DOWN_SECONDS = 90.0
NOT_HEALTHY = 1


def register(app: typer.Typer) -> None:
    app.command(
        "up", help="Start the whole system. Embedded servers, migrations, the four services; Ctrl-C drains."
    )(_up)
    app.command("status", help="What runs where, and how it is. Exits 1 when it isn't all well.")(_status)
    app.command("down", help="Drain and stop what `up` runs.")(_down)


def _up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    state_dir: StateDir = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' info lines too.")] = False,
) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    if detach:
        _start_detached(directory, verbose=verbose)
        return
    plan = plans.read(os.environ)
    plans.check_settings(plan)
    with directory.locked():
        supervisor = Supervisor(directory, plan, _say, verbose=verbose)
        supervisor.listen_to_signals()
        began = time.monotonic()
        try:
            supervisor.start()
        except Interrupted:
            _say("stopped before it was ready")
            raise typer.Exit(130) from None
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
            raise StartError(f"DATABASE_URL: can't connect: {reason}") from None
        _say(f"ready in {time.monotonic() - began:.1f} s\n")
        console = Console(highlight=False)
        _show(console, supervisor.state, directory, attached=True)
        supervisor.watch()
        _say("draining…  (again to stop at once)")
        supervisor.stop()
        _say("stopped")


def _start_detached(directory: StateDirectory, *, verbose: bool) -> None:
    if directory.is_locked():
        raise StartError(directory.who())
    plan = plans.read(os.environ)
    plans.check_settings(plan)
    plans.check_ports(plan)
    directory.logs.mkdir(parents=True, exist_ok=True)
    log = directory.logs / "up.log"
    command = [sys.executable, "-m", "uniassist.cli.main", "up", "--state-dir", str(directory.path)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--verbose"] if verbose else command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        state = _wait_detached(directory, process, log)
    except BaseException:
        process.send_signal(signal.SIGTERM)  # whoever gives up waiting wants nothing left behind
        raise
    _show(Console(highlight=False), state, directory, attached=False)


def _wait_detached(directory: StateDirectory, process: subprocess.Popen[bytes], log: Path) -> RunState:
    """Until it is ready, showing what it says."""
    end = time.monotonic() + DETACH_SECONDS
    shown = 0
    while True:
        state = directory.read()
        lines = log.read_text("utf-8", "replace").splitlines()
        for line in lines[shown:]:
            if state is None or not state.ready:
                _say(line)
        shown = len(lines)
        if state is not None and state.ready and state.pid == process.pid:
            return state
        if process.poll() is not None:
            raise StartError(f"it did not start (exit {process.returncode}); see above, or {log}")
        if time.monotonic() > end:
            raise StartError(f"it was not ready in {DETACH_SECONDS:.0f} s; see {log}")
        time.sleep(0.1)  # it is another process: its state file and log tell


def _show(console: Console, state: RunState, directory: StateDirectory, *, attached: bool) -> None:
    is_default = directory.path == DEFAULT_DIRECTORY.absolute()
    option = "" if is_default else f" --state-dir {directory.path}"
    screen.show(console, state, screen.look(state), str(directory.path))
    screen.show_next(console, state, attached=attached, command=own_command(), state_option=option)


def _status(state_dir: StateDir = None, as_json: Json = False) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    state = directory.read()
    if state is None and directory.is_locked():
        raise StartError(directory.who())
    if state is None:
        if as_json:
            print(msgspec.json.encode({"running": False, "stateDir": str(directory.path)}).decode())
        else:
            print(f"nothing runs on {directory.path}; start it with: uniassist up")
        raise typer.Exit(NOT_HEALTHY)
    seen = screen.look(state)
    if as_json:
        document = {
            "running": True,
            "ready": state.ready,
            "pid": state.pid,
            "since": state.since,
            "stateDir": str(directory.path),
            "databaseUrl": state.database_url,
            "redisUrl": state.redis_url,
            "services": seen,
        }
        print(msgspec.json.encode(document).decode())
    else:
        screen.show(Console(highlight=False), state, seen, str(directory.path))
    if not state.ready or any(service.health not in ("ok", "degraded") for service in seen):
        raise typer.Exit(NOT_HEALTHY)


def _down(state_dir: StateDir = None) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    state = directory.read()
    if state is None:
        if directory.is_locked():
            raise StartError(directory.who())
        print(f"nothing runs on {directory.path}")
        return
    _say(f"draining process {state.pid}…")
    try:
        process = psutil.Process(state.pid)
        process.send_signal(signal.SIGTERM)
        process.wait(DOWN_SECONDS)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise StartError(
            f"process {state.pid} has not stopped in {DOWN_SECONDS:.0f} s; its log: {directory.logs}"
        ) from None
    _say("stopped")


def _say(line: str) -> None:
    print(line, flush=True)
