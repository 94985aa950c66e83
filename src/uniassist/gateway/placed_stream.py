"""A response of server-sent events that gives its places back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from uniassist.contracts.streaming import EVENT_STREAM
from uniassist.gateway.bounds.bounds import give_back
from uniassist.gateway.bounds.open_streams import Place

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class PlacedStream(StreamingResponse):
    """Gives the stream's places back, also when it ends before its first frame."""

    def __init__(
        self, frames: AsyncIterator[bytes], *, places: Collection[Place], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(frames, media_type=EVENT_STREAM, headers=_HEADERS | dict(headers or {}))
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            give_back(self._places)
