"""Following a session's event stream as its client: each event once, across broken connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import quote

import aiohttp

from uniassist.contracts import bounds, codec
from uniassist.contracts.timeline import SseFrame, TimelineEvent
from uniassist.web.calling.client import BadAnswer, BadStatus, Unreachable

RECONNECT_SECONDS = 1.0
# The gateway sends a comment more often than this; a connection that is silent for so long is dead.
SILENT_SECONDS = 40.0
_MAX_LINE_BYTES = 8 * 1024 * 1024
# A body within the frame, the event and its payload.
_MAX_NESTING = bounds.MAX_NESTING + 3


async def follow(
    gateway_url: str,
    session_id: str,
    *,
    cursor: int = 0,
    reconnect: bool = True,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[TimelineEvent, None]:
    """Events of the session with seq > cursor, as they come; never one twice.

    `cursor`: the seq that the caller has.
    `reconnect`: go on after a broken stream, as after a gateway's restart; False: Unreachable is raised instead.
    `headers`: an app's token, say.
    BadStatus when the gateway refuses.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=SILENT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=_MAX_LINE_BYTES) as session:
        while True:  # ends: with its reader, or by an error
            url = f"{gateway_url}/v0/stream?sessionId={quote(session_id, safe='')}&cursor={cursor}"
            try:
                async with session.get(url, headers=headers) as response:
                    if response.status != 200:
                        raise BadStatus(
                            f"{url}: answered {response.status}", response.status, await response.read()
                        )
                    named = False
                    async for line in response.content:
                        if line.startswith(b"event:"):
                            named = True
                        elif not line.strip():
                            named = False
                        # What has a name is no timeline event: a message that is still being written.
                        event = None if named else _event_of(line, url)
                        if event is not None and event.seq > cursor:
                            cursor = event.seq
                            yield event
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                if not reconnect:
                    raise Unreachable(f"{url}: {type(error).__name__}") from error
            if not reconnect:
                return
            await asyncio.sleep(RECONNECT_SECONDS)


def _event_of(line: bytes, url: str) -> TimelineEvent | None:
    if not line.startswith(b"data:"):
        return None
    try:
        return codec.decode(
            line[5:].strip(),
            SseFrame,
            nesting=_MAX_NESTING,
            limit_bytes=_MAX_LINE_BYTES,
            values=bounds.MAX_ANSWER_VALUES,
        ).event
    except Exception as error:
        raise BadAnswer(f"{url}: {error}") from error
