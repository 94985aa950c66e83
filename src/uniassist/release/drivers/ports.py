"""Who listens on a port of this host, as far as the system tells us."""

from __future__ import annotations

import psutil

_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def listeners(host: str, port: int) -> list[int]:
    """Process ids of those in the way of `host`; empty when nobody is, or when we may not know who."""
    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    hosts = {"127.0.0.1", "::1"} if host == "localhost" else {host}
    pids = set()
    for connection in found:
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr:
            ip, listens = connection.laddr[:2]
            if listens == port and (ip in hosts or ip in _ANY or host in _ANY):
                pids.add(connection.pid)
    return sorted(pids)


def named(pid: int) -> str:
    """`process 4711 (nginx: master process)`; its command line may hold secrets, so not that."""
    try:
        return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"process {pid}"


def family(pid: int) -> set[int]:
    """The process and all that it started."""
    try:
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.Error:
        return {pid}
