"""Where events are on the streams, as long as their entries are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias, cast

from uniassist.streams.client import Redis

# redis-py's own types cover both protocols and both modes; this client has bytes and RESP 2.
_Raw: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
PAGE, PAGES = 500, 8


async def session_entries(redis: Redis, key: str, events: Mapping[int, str]) -> dict[str, str]:
    """Entry ids by event id. `events`: seq → event id; an entry of a timeline has its seq in its id."""
    if not events:
        return {}
    found = cast(_Raw, await redis.xrange(key, min=str(min(events)), max=str(max(events)), count=PAGE))
    wanted = frozenset(events.values())
    return {event: entry.decode() for entry, event in _shaped(found) if event in wanted}


async def global_entries(
    redis: Redis, key: str, event_ids: Collection[str], *, from_ms: int, to_ms: int
) -> dict[str, str]:
    """Entry ids by event id, of those added in that time by the clock of Redis; PAGES pages are looked through."""
    found, wanted, after = dict[str, str](), frozenset(event_ids), str(from_ms)
    for _ in range(PAGES):
        page = cast(_Raw, await redis.xrange(key, min=after, max=str(to_ms), count=PAGE))
        found |= {event: entry.decode() for entry, event in _shaped(page) if event in wanted}
        if len(page) < PAGE or len(found) == len(wanted):
            break
        after = f"({page[-1][0].decode()}"
    return found


def _shaped(page: _Raw) -> list[tuple[bytes, str]]:
    return [(entry, fields.get(b"eventId", b"").decode("utf-8", "replace")) for entry, fields in page]
