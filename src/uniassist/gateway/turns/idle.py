"""When a session has been idle for so long that an input starts a new one."""

from __future__ import annotations

IDLE_MS = 24 * 60 * 60 * 1000


def activity_ms(timestamp_ms: int, now_ms: int) -> int:
    """An input's own time, no later than the server's clock."""
    return min(timestamp_ms, now_ms)


def is_idle(last_activity_ms: int, timestamp_ms: int, now_ms: int) -> bool:
    return activity_ms(timestamp_ms, now_ms) - last_activity_ms > IDLE_MS


def successor_id(session_id: str, unique: str) -> str:
    """The old id as prefix, cut so that the whole stays within an id's 256 characters; `unique` keeps it apart."""
    return f"{session_id[: 255 - len(unique)]}~{unique}"
