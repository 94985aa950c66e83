"""Who listens on a port of this host, as far as the system tells us."""

from __future__ import annotations

import psutil


def listeners(port: int) -> list[int]:
    """Process ids; empty when nobody listens, or when we may not know who."""
    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    listening = (c for c in found if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port)
    return sorted({c.pid for c in listening if c.pid})


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
