"""An answer that comes as server-sent events, within its bounds of silence and size; for any kind that streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from uniassist.web.calling.client import BadAnswer, OpenAnswer, TimedOut
from uniassist.web.calling.frames import SIGN_OF_LIFE, FrameReader

MAX_STREAM_BYTES = 16 * 1024 * 1024


async def frames(answer: OpenAnswer, idle_seconds: float) -> AsyncGenerator[bytes]:
    """The data of each frame, until the stream stops. TimedOut after silence, Unreachable, BadAnswer.

    A comment is a sign of life, half a frame is none. Neither is the time that the taker of a frame needs.
    """
    reader, taken = FrameReader(), 0
    loop = asyncio.get_running_loop()
    chunks = answer.chunks()
    silent_at = loop.time() + idle_seconds
    while True:  # ends: the stream stops, is silent, or has too much; and the caller has a deadline for all of it
        try:
            async with asyncio.timeout_at(silent_at) as silence:
                chunk = await anext(chunks, None)
        except TimeoutError:
            if not silence.expired():
                raise
            raise TimedOut(f"its stream was silent for {idle_seconds:g} seconds") from None
        if chunk is None:
            return
        taken += len(chunk)
        if taken > MAX_STREAM_BYTES:
            raise BadAnswer(f"its stream has more than {MAX_STREAM_BYTES} bytes")
        found = reader.feed(chunk)
        for data in found:
            if data != SIGN_OF_LIFE:
                yield data
        if found:
            silent_at = loop.time() + idle_seconds
