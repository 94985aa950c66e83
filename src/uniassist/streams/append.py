"""Append a batch of events to their session streams and the global stream, each event in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from redis.asyncio import Redis


@dataclass(frozen=True)
class Entry:
    """`explicit_seq`: only for rows written by the gateway; None for all others."""

    stream_key: str
    event_id: str
    session_id: str
    payload: bytes
    seq: int | None = None
    explicit_seq: int | None = None
    replay: str = ""


class Appender:
    """One appender per global stream. `session_length` caps a session stream, which expires unused."""

    def __init__(self, redis: Redis, *, global_key: str, session_length: int, session_expiry_seconds: int) -> None:
        source = files("uniassist.streams").joinpath("append.lua").read_text("utf-8")
        self._script = redis.register_script(source)
        self._global_key = global_key
        self._limits = (session_length, session_expiry_seconds)

    async def append(self, entries: Sequence[Entry]) -> list[str]:
        """Per entry 'published', 'present' or 'error: <the server's reason>'. Transport errors are raised."""
        arguments: list[str | bytes | int] = [*self._limits]
        for entry in entries:
            explicit = "" if entry.explicit_seq is None else entry.explicit_seq
            shown = "" if entry.seq is None else entry.seq
            arguments += [explicit, entry.event_id, entry.session_id, shown, entry.payload, entry.replay]
        keys = [self._global_key, *(entry.stream_key for entry in entries)]
        results = await self._script(keys=keys, args=arguments)
        return [result.decode() if isinstance(result, bytes) else result for result in results]
