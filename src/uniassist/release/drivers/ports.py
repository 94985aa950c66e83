"""Who listens on a port of this host, as far as the system tells us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from uniassist.devstack.server import port_is_taken

_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class Listening(NamedTuple):
    ip: str
    port: int
    pid: int


def listening() -> list[Listening]:
    """Whoever listens anywhere here, as far as we may know. It asks for every connection and process there is."""
    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return [
        Listening(connection.laddr[0], connection.laddr[1], connection.pid)
        for connection in found
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr
    ]


def listeners(host: str, port: int, among: Sequence[Listening] | None = None) -> list[int]:
    """Process ids of those in the way of `host`; empty when nobody is, or when we may not know who.

    among: what `listening` said; asked here when it isn't given, and somebody is there.
    """
    if among is None:
        among = listening() if port_is_taken(port, host) else ()
    hosts = {"127.0.0.1", "::1"} if host == "localhost" else {host}
    return sorted(
        {each.pid for each in among if each.port == port and (each.ip in hosts or each.ip in _ANY or host in _ANY)}
    )


def named(pid: int) -> str:
    """`process 4711 (nginx: master process)`; its command line may hold secrets, so not that."""
    try:
        return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"process {pid}"


def kept_by(pid: int) -> Path | None:
    """The folder of the service that a keeper of ours runs as this process; None where no keeper does."""
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).parents()):
            arguments = process.cmdline()
            at = next((i for i, word in enumerate(arguments) if word.endswith("keeper.py")), None)
            if at is not None and len(arguments) > at + 1:
                return Path(arguments[at + 1])
    except psutil.Error:
        return None
    return None


def is_frozen(pid: int | None) -> bool:
    """Stopped by a signal (SIGSTOP, a debugger): it holds what it holds, and does nothing."""
    try:
        return pid is not None and psutil.Process(pid).status() in (
            psutil.STATUS_STOPPED,
            psutil.STATUS_TRACING_STOP,
        )
    except psutil.Error:
        return False


def family(pid: int) -> set[int]:
    """The process and all that it started."""
    try:
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.Error:
        return {pid}
