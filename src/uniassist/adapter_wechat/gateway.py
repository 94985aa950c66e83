"""The gateway as this channel sees it: ingest until it is acknowledged, then the timeline until it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog

from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput
from uniassist.contracts.interaction import InteractionEvent
from uniassist.contracts.timeline import InteractionPayload, TimelineEvent, TimelinePage
from uniassist.errors import InvalidRequest
from uniassist.web import signing
from uniassist.web.client import BadStatus, CallFailed, JsonClient

log = structlog.get_logger()

_ATTEMPT_SECONDS = 2.5
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.4
_ENDED = ("completed", "failed", "cancelled")


class Gateway:
    """`adapter_secret` signs what is sent. All deadlines are the loop's time."""

    def __init__(self, client: JsonClient, base_url: str, adapter_secret: str) -> None:
        self._client = client
        self._base_url = base_url
        self._adapter_secret = adapter_secret

    async def check(self) -> None:
        """CallFailed when it doesn't live."""
        url = f"{self._base_url}/health/live"
        answer = await self._client.request("GET", url, timeout_seconds=0.8)
        if answer.status != 200:
            raise BadStatus(f"{url}: answered {answer.status}", answer.status, b"")

    async def ingest(self, message: UnifiedUserInput, deadline: float) -> IngestAck:
        """The acknowledgement: from then on the input is durable. CallFailed when there is none by `deadline`.

        Safe to repeat: the gateway knows the input by its channel.messageId.
        """
        body = codec.encode(message)
        pauses = _Pauses()
        while True:
            try:
                return await self._ingest_once(body, deadline - _now())
            except CallFailed as error:
                if _is_final(error) or not await pauses.wait(deadline):
                    log.error("the gateway did not take an input", traceId=message.trace_id, reason=str(error))
                    raise
                log.warning("ingest failed, trying again", traceId=message.trace_id, reason=str(error))

    async def answers(self, ack: IngestAck, deadline: float) -> Sequence[InteractionEvent] | None:
        """What the input's runs answered, in order; None when they haven't all by `deadline`."""
        if all(run.mode == "sync" for run in ack.runs):
            return ack.ack_events
        session_id, cursor = _place(ack)
        awaited = {run.run_id for run in ack.runs}
        said: list[InteractionEvent] = []
        pauses = _Pauses()
        while True:
            page = await self._page(session_id, cursor, deadline - _now())
            for event in page.events if page is not None else ():
                if event.trace_id == ack.trace_id:
                    said += _interaction(event)
                    awaited -= _ended_run(event)
            if not awaited:
                return said
            if page is not None:
                cursor = page.next_cursor
            if not await pauses.wait(deadline):
                return None

    async def _ingest_once(self, body: bytes, seconds_left: float) -> IngestAck:
        headers = self._signed(body)
        return await self._client.post_json(
            f"{self._base_url}/v0/ingest",
            body,
            IngestAck,
            timeout_seconds=max(0.0, min(_ATTEMPT_SECONDS, seconds_left)),
            headers=headers,
        )

    def _signed(self, body: bytes) -> dict[str, str]:
        """Of a read, the request's target is signed in the body's place."""
        now_ms = int(time.time() * 1000)
        return signing.sign(self._adapter_secret, body, now_ms=now_ms, nonce=signing.fresh_nonce())

    async def _page(self, session_id: str, cursor: int, seconds_left: float) -> TimelinePage | None:
        target = f"/v0/timeline?{urlencode({'sessionId': session_id, 'cursor': cursor})}"
        try:
            return await self._client.get_json(
                f"{self._base_url}{target}",
                TimelinePage,
                timeout_seconds=max(0.0, min(_ATTEMPT_SECONDS, seconds_left)),
                headers=self._signed(target.encode()),
            )
        except CallFailed as error:
            log.warning("can't read the timeline", sessionId=session_id, reason=str(error))
            return None


class _Pauses:
    """Between attempts: short at first, growing."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE_SECONDS

    async def wait(self, deadline: float) -> bool:
        """False, at once, when the deadline would pass meanwhile."""
        if _now() + self._seconds >= deadline:
            return False
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, _LONGEST_PAUSE_SECONDS)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_final(error: CallFailed) -> bool:
    """Whether the gateway will say the same the next time."""
    return isinstance(error, BadStatus) and 400 <= error.status < 500 and error.status not in (409, 429)


def _place(ack: IngestAck) -> tuple[str, int]:
    """Where the answer appears: a successor's timeline when the gateway started a new session."""
    named = parse_qs(urlsplit(ack.stream.href).query).get("sessionId")
    return (named[0] if named else ack.session_id), ack.stream.cursor


def _interaction(event: TimelineEvent) -> list[InteractionEvent]:
    if event.kind != "interaction":
        return []
    try:
        return [codec.convert(event.payload, InteractionPayload).event]
    except InvalidRequest as error:  # one of a later version; the others can still be shown
        log.warning("unknown interaction", eventId=event.event_id, reason=error.detail)
        return []


def _ended_run(event: TimelineEvent) -> set[str]:
    ended = (
        event.kind == "provider_run" and isinstance(event.payload, dict) and event.payload.get("status") in _ENDED
    )
    return {event.run_id} if ended and event.run_id is not None else set()
