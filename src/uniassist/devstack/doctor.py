"""`uniassist doctor`: what this machine has, what is missing for `up`, and how to mend it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import psutil

from uniassist.devstack import plan as plans
from uniassist.devstack import postgres, redis
from uniassist.devstack.plan import Plan
from uniassist.devstack.server import Account, port_is_taken
from uniassist.devstack.state import StateDirectory
from uniassist.errors import ServerFault, SettingsError, StartError
from uniassist.settings import (
    mask_url,
)
from uniassist.store import release
from uniassist.store.release import Server
from uniassist.store.server import pool
from uniassist.streams.client import Redis
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane

Level = Literal["ok", "warn", "fail"]
LEAST_PYTHON = (3, 11)
LEAST_POSTGRES_MAJOR = 14
LEAST_REDIS = (6, 2)
# A new database takes about 50 MB, its write-ahead log may grow to 2 GB (devstack.postgres).
FREE_BYTES_NEEDED, FREE_BYTES_WANTED = 200 * 2**20, 2 * 2**30
_COMMAND_SECONDS = 10.0
_ANSWER_SECONDS = 3.0


class DoctorFinding(msgspec.Struct, frozen=True, rename="camel"):
    """One line. `remedy` is empty when there is nothing to mend."""

    name: str
    level: Level
    said: str
    remedy: str = ""


def examine(directory: StateDirectory, environ: Mapping[str, str]) -> list[DoctorFinding]:
    """All findings, in the order in which a person would mend them."""
    findings = [python(sys.version_info[:3]), virtual_environment(), command(environ), *settings(environ)]
    try:
        plan = plans.read(environ)
    except SettingsError:
        plan = None  # `settings` has said why
    if plan is not None:
        findings.append(database(plan.database_url))
        findings.append(streams(plan.redis_url))
        findings.extend(ports(plan, directory))
    findings.append(state_directory(directory.path, embedded=plan is None or plan.database_url is None))
    findings.append(disk_space(shutil.disk_usage(_nearest(directory.path)).free))
    findings.extend(earlier_run(directory))
    return findings


def python(version: tuple[int, ...]) -> DoctorFinding:
    shown = ".".join(str(part) for part in version)
    if version < LEAST_PYTHON:
        return DoctorFinding(
            "python", "fail", f"{shown} is too old", "install 3.11 or newer; make PYTHON=python3.12 setup"
        )
    return DoctorFinding("python", "ok", shown)


def virtual_environment() -> DoctorFinding:
    if sys.prefix == sys.base_prefix:
        return DoctorFinding(
            "venv", "warn", "not in a virtual environment", "make setup, then use .venv/bin/uniassist"
        )
    return DoctorFinding("venv", "ok", sys.prefix)


def command(environ: Mapping[str, str]) -> DoctorFinding:
    """Whether `uniassist`, as help and screens print it, is what runs here."""
    found = shutil.which("uniassist", path=environ.get("PATH"))
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return DoctorFinding("command", "ok", found)
    said = "uniassist is not on the PATH" if found is None else f"uniassist on the PATH is another one, {found}"
    activate = Path(sys.executable).parent / "activate"
    return DoctorFinding("command", "warn", said, f". {activate}" if activate.exists() else "make setup")


def settings(environ: Mapping[str, str]) -> Iterator[DoctorFinding]:
    """The settings of each service, as it would read them under `up`."""
    env = {name: value for name, value in environ.items() if name != "PORT" and value.strip()}
    env.setdefault("DATABASE_URL", "postgresql://127.0.0.1/uniassist")
    env.setdefault("REDIS_URL", "redis://127.0.0.1/0")
    if env.get("UNIASSIST_ENV", "dev") in ("dev", "test"):
        env = dict.fromkeys(plans.GENERATED, "generated-by-up-0123456789") | env
    wrong: dict[str, list[str]] = {}
    for service in _services(env):
        try:
            plans.SETTINGS[service](env)
        except SettingsError as error:
            wrong.setdefault(str(error), []).append(service)
    for said, services in wrong.items():
        remedy = "correct it or unset it; ops/deploy/staging/env.example explains each"
        yield DoctorFinding("settings", "fail", f"{said} (read by {', '.join(services)})", remedy)
    if not wrong:
        yield DoctorFinding("settings", "ok", f"all parse, UNIASSIST_ENV is {env.get('UNIASSIST_ENV', 'dev')}")


def _services(env: Mapping[str, str]) -> list[str]:
    """Those that would run; all of them where the environment doesn't even say what it is."""
    try:
        return sorted(plans.services(env), key=list(plans.SETTINGS).index)
    except SettingsError:
        return list(plans.SETTINGS)


def database(url: str | None) -> DoctorFinding:
    """The given Postgres, or the embedded one's program."""
    if url is None:
        return _embedded_postgres()
    try:
        server = asyncio.run(_postgres(url))
    except ServerFault as fault:
        return _unusable(fault, url)
    if server.version < LEAST_POSTGRES_MAJOR * 10_000:
        remedy = f"point DATABASE_URL at Postgres {LEAST_POSTGRES_MAJOR} or newer, or unset it"
        return DoctorFinding("postgres", "fail", f"{mask_url(url)} is {server.shown}, too old", remedy)
    if server.encoding != release.ENCODING:
        remedy = "point DATABASE_URL at such a database"
        return DoctorFinding("postgres", "fail", f"{mask_url(url)}: {server.wrong_encoding}", remedy)
    return DoctorFinding("postgres", "ok", f"{mask_url(url)} answers, {server.shown}")


def streams(url: str | None) -> DoctorFinding:
    """The given Redis, or the embedded one's program."""
    if url is None:
        return _embedded_redis()
    try:
        version = asyncio.run(_redis_version(url))
    except ServerFault as fault:
        return _unusable(fault, url)
    if _numbers(version) < LEAST_REDIS:
        remedy = "point REDIS_URL at Redis 6.2 or newer, or unset it"
        return DoctorFinding("redis", "fail", f"{mask_url(url)} is {version}, too old", remedy)
    return DoctorFinding("redis", "ok", f"{mask_url(url)} answers, {version}")


async def _postgres(url: str) -> Server:
    async with await pool.connect(url, command_timeout_seconds=_ANSWER_SECONDS) as connection:
        return await release.server(connection)


async def _redis_version(url: str) -> str:
    """The oldest of all that it leads to."""

    async def asked(redis: Redis, _lane: Lane) -> str:
        await redis.ping()  # one that still loads its data tells its version all the same
        return str((await redis.info("server"))["redis_version"])

    async with LaneClients.to_look(url, answer_seconds=_ANSWER_SECONDS) as clients:
        return min(await clients.each(asked), key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _unusable(fault: ServerFault, url: str) -> DoctorFinding:
    remedy = f"start that server, correct {fault.variable}, or unset it to use the embedded one"
    return DoctorFinding(fault.server, "fail", f"{fault.variable}: {mask_url(url)} can't be used: {fault}", remedy)


def _embedded_postgres() -> DoctorFinding:
    try:
        path = postgres.binaries() / "postgres"
    except StartError as error:
        return DoctorFinding("postgres", "fail", str(error), "make setup, or set DATABASE_URL")
    remedy = "make clean setup, or set DATABASE_URL"
    if Account.unprivileged() is not None:
        remedy = "as root, keep the checkout where the user nobody can read it, or set DATABASE_URL"
    return _runs("postgres", path, Account.unprivileged(), remedy)


def _embedded_redis() -> DoctorFinding:
    try:
        path = redis.binary()
    except StartError as error:
        return DoctorFinding("redis", "fail", str(error), "make setup, or set REDIS_URL")
    remedy = "make clean setup, or set REDIS_URL"
    if Account.unprivileged() is not None:
        remedy = "as root, keep the checkout where the user nobody can read it, or set REDIS_URL"
    return _runs("redis", path, Account.unprivileged(), remedy)


def _runs(name: str, path: Path, account: Account | None, remedy: str) -> DoctorFinding:
    try:
        done = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_SECONDS,
            cwd="/",
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return DoctorFinding(name, "fail", f"the embedded server does not run: {error}", remedy)
    if done.returncode != 0:
        return DoctorFinding(name, "fail", f"the embedded server does not run: {done.stderr.strip()}", remedy)
    return DoctorFinding(name, "ok", f"embedded, {done.stdout.partition(' sha=')[0].strip()}")


def ports(plan: Plan, directory: StateDirectory) -> Iterator[DoctorFinding]:
    """Each service's port: free, or held by the system that runs on this state directory."""
    state = directory.read()
    ours = {urlsplit(service.url).port: service for service in state.services} if state else {}
    first: dict[int, str] = {}
    for service, port in plan.ports.items():
        variable = plans.PORT_VARIABLES[service]
        name = f"port {port}"
        if port in first:
            yield DoctorFinding(
                name, "fail", f"given to {first[port]} and to {service}", f"set {variable} to another"
            )
        elif port in ours and ours[port].name == service and ours[port].pid is not None:
            yield DoctorFinding(name, "ok", f"{service}, running (process {ours[port].pid})")
        elif port_is_taken(port, plan.host):
            by = f" by {who}" if (who := holder(port)) else ""
            yield DoctorFinding(name, "fail", f"for {service}, is taken{by}", f"stop that, or set {variable}")
        else:
            yield DoctorFinding(name, "ok", f"free for {service}")
        first.setdefault(port, service)


def holder(port: int) -> str | None:
    """Who listens there, as "name (process 1234)"; None when the system doesn't say."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
                continue
            if connection.laddr.port == port:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return None
    return None


def state_directory(path: Path, *, embedded: bool) -> DoctorFinding:
    """Whether `up` can write there and, for the embedded Postgres as root, whether `nobody` gets there."""
    name = "state"
    nearest = _nearest(path)
    if not nearest.is_dir():
        return DoctorFinding(name, "fail", f"{nearest} is not a folder", "remove it, or use --state-dir")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return DoctorFinding(
            name, "fail", f"{nearest} can't be written to", "use --state-dir, or mend its permissions"
        )
    # `up` opens the state directory itself, not what leads to it.
    way = path.parent if nearest == path else nearest
    closed = _closed_to_others(way) if embedded and Account.unprivileged() is not None else None
    if closed is not None:
        said = f"{closed} is closed to the user nobody, whom the embedded Postgres runs as when you are root"
        return DoctorFinding(name, "fail", said, "use --state-dir with a folder outside it, or set DATABASE_URL")
    return DoctorFinding(name, "ok", str(path) if nearest == path else f"{path}, made by the first up")


def _nearest(path: Path) -> Path:
    """The path itself, or the closest ancestor that exists."""
    return next(folder for folder in (path, *path.parents) if os.path.lexists(folder))


def _closed_to_others(path: Path) -> Path | None:
    return next((folder for folder in (path, *path.parents) if not folder.stat().st_mode & 0o001), None)


def disk_space(free: int) -> DoctorFinding:
    """`free` in bytes, on the disk of the state directory."""
    shown = f"{free / 2**30:.1f} GB free"
    if free < FREE_BYTES_NEEDED:
        return DoctorFinding(
            "disk", "fail", f"only {free // 2**20} MB free", "free some, or use --state-dir on another"
        )
    if free < FREE_BYTES_WANTED:
        return DoctorFinding("disk", "warn", f"{shown}; the database's log alone may take 2", "free some space")
    return DoctorFinding("disk", "ok", shown)


def earlier_run(directory: StateDirectory) -> Iterator[DoctorFinding]:
    """The system that runs, and what one that was killed has left."""
    if directory.is_locked():
        state = directory.read()
        said = f"running, process {state.pid}" if state else "another `uniassist up` is starting"
        yield DoctorFinding("up", "ok", said)
        return
    left = _left_postgres(directory.path / "postgres" / "data")
    if left is not None:
        said = f"an embedded Postgres from before still runs (process {left})"
        yield DoctorFinding("up", "warn", said, f"`uniassist up` takes it down first; or: kill -INT {left}")
    elif (directory.path / "state.json").exists():
        yield DoctorFinding(
            "up", "warn", "the last one was killed and left its state", "nothing: `uniassist up` starts anew"
        )
    else:
        yield DoctorFinding("up", "ok", "nothing runs; start it with: uniassist up")


def _left_postgres(data: Path) -> int | None:
    """The process of a postmaster on exactly this directory, if it is alive."""
    try:
        pid = int((data / "postmaster.pid").read_text("utf-8").partition("\n")[0])
        arguments = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if str(data) in arguments else None
