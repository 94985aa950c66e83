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

from uniassist import terminal
from uniassist.cli import released, system
from uniassist.cli.console import guarded_console
from uniassist.cli.silence import waiting
from uniassist.cli.system import ReleasedSystem, SystemEnvFile
from uniassist.cli.where import StateDir, own_command
from uniassist.devstack import plan as plans
from uniassist.devstack import screen
from uniassist.devstack.state import DEFAULT_DIRECTORY, RunState, StateDirectory
from uniassist.devstack.supervisor import StartInterrupted, Supervisor
from uniassist.errors import StartError
from uniassist.settings import mask_url

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Secrets = Annotated[bool, typer.Option("--secrets", help="With --json: the servers' URLs with their passwords.")]
DETACH_SECONDS = 90.0
DOWN_SECONDS = 90.0
NOT_HEALTHY = 1


def register(app: typer.Typer) -> None:
    app.command("up", help="Start the whole system. Embedded servers, migrations, all services; Ctrl-C drains.")(
        _up
    )
    app.command("status", help="What runs where, and how it is. Exits 1 when it isn't all well.")(_status)
    app.command("down", help="Drain and stop what `up` runs.")(_down)


def _up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    state_dir: StateDir = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the services' info lines too.")] = False,
) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    os.umask(0o077)  # what this system writes, down to the media that people send, is for its own user
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
        except StartInterrupted:
            _say("stopped before it was ready")
            raise typer.Exit(130) from None
        _say(f"ready in {time.monotonic() - began:.1f} s\n")
        console = guarded_console()
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
    directory.make()
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
    _show(guarded_console(), state, directory, attached=False)


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


def _status(
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    url: Annotated[str | None, typer.Option("--url", help="A gateway: only that one is shown.")] = None,
    as_json: Json = False,
    secrets: Secrets = False,
) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    state = directory.read() if env_file is None and url is None else None
    other = _other(state_dir, env_file, url)
    if state is None and other is not None:
        _show_released(other, as_json=as_json)
        return
    if state is None and directory.is_locked():
        raise StartError(directory.who())
    if state is None:
        if as_json:
            print(msgspec.json.encode({"running": False, "stateDir": str(directory.path)}).decode())
        else:
            print(f"nothing runs on {directory.path}, and nothing is released here; start it with: uniassist up")
        raise typer.Exit(NOT_HEALTHY)
    seen = screen.look(state)
    if as_json:
        document = {
            "running": True,
            "kind": "up",
            "ready": state.ready,
            "pid": state.pid,
            "since": state.since,
            "stateDir": str(directory.path),
            "databaseUrl": state.database_url if secrets else mask_url(state.database_url),
            "redisUrl": state.redis_url if secrets else mask_url(state.redis_url),
            "services": seen,
        }
        out = terminal.raw(sys.stdout) if secrets else sys.stdout
        print(msgspec.json.encode(document).decode(), file=out)
    else:
        print(f"showing the system of `uniassist up` on {directory.path}")
        screen.show(guarded_console(), state, seen, str(directory.path))
        if other is not None:
            print(f"also here: {other.said}; uniassist release status shows it")
    if not state.ready or any(service.health not in ("ok", "degraded") for service in seen):
        raise typer.Exit(NOT_HEALTHY)


def _other(state_dir: Path | None, env_file: Path | None, url: str | None) -> ReleasedSystem | None:
    """The system that was asked for, or what is released here."""
    if url is not None:
        return ReleasedSystem(f"the gateway at {url}", {}, {"gateway": url.rstrip("/")})
    return system.of_file(env_file) if env_file is not None else system.released_here(state_dir)


def _show_released(found: ReleasedSystem, *, as_json: bool) -> None:
    with waiting("asking the services…"):
        seen = released.look(found)
    if as_json:
        print(msgspec.json.encode(released.document(found, seen)).decode())
    else:
        print("\n".join(released.lines(found, seen)))
    if not all(released.is_well(name, answered) for name, answered in seen.items()):
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
