"""Append a batch of events to their session streams and the global stream, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from redis.asyncio import Redis

from uniassist.streams.epoch import Epoch, sentinel_key


class EpochChanged(Exception):
    """This isn't the Redis that it was, or it lost its data; nothing was written."""


class Entry(NamedTuple):
    """`explicit_seq`: only for rows written by the gateway; None for all others.

    `other_global_key`: a further global stream that the row itself names. `ce_type` and `ce_time` (RFC 3339) are
    attributes of CloudEvents 1.0, `traceparent` of W3C Trace Context; the script adds what follows from the rest.
    """

    stream_key: str
    event_id: str
    session_id: str
    payload: bytes
    seq: int | None = None
    explicit_seq: int | None = None
    replay: str = ""
    other_global_key: str = ""
    ce_type: str = "uniassist.outbox.event"
    ce_time: str = ""
    traceparent: str = ""


class Appender:
    """One appender per global stream. `session_length` caps a session stream, which expires unused.

    `moved_prefix`: of the channels on which it says that a session moved.
    """

    def __init__(
        self, redis: Redis, *, global_key: str, moved_prefix: str, session_length: int, session_expiry_seconds: int
    ) -> None:
        source = files("uniassist.streams").joinpath("append.lua").read_text("utf-8")
        self._script = redis.register_script(source)
        self._global_key = global_key
        self._given = (session_length, session_expiry_seconds, moved_prefix)

    async def append(self, entries: Sequence[Entry], epoch: Epoch) -> list[str]:
        """Per entry 'published', 'present', 'behind', 'held', 'error: <the server's reason>' or, where the fault is
        the global stream's, 'stopped: <the reason>' (see append.lua).

        Without entries it says by raising nothing that appending is possible.

        Raises EpochChanged, having written nothing; transport errors as they are, with an unknown outcome.
        """
        arguments: list[str | bytes | int] = [epoch.sentinel, *self._given]
        keys = [sentinel_key(self._global_key), self._global_key]
        for entry in entries:
            explicit = "" if entry.explicit_seq is None else entry.explicit_seq
            shown = "" if entry.seq is None else entry.seq
            keys.append(entry.stream_key)
            arguments += (
                explicit,
                entry.event_id,
                entry.session_id,
                shown,
                entry.payload,
                entry.replay,
                entry.other_global_key,
                entry.ce_type,
                entry.ce_time,
                entry.traceparent,
            )
        answer: list[bytes] = await self._script(keys=keys, args=arguments)
        outcomes = [outcome.decode("utf-8", "replace") for outcome in answer]
        if outcomes == ["epoch"]:
            raise EpochChanged
        return outcomes
