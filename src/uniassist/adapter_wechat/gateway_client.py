"""Calls to the gateway: hands things over until they are taken, and reads from the timeline what comes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import IngestAck, InteractAck, UnifiedUserInput, UserInteraction
from uniassist.contracts.provider import LateDeliveryEvent, ProviderEventsRequest, ProviderEventsResponse
from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.lifecycle import Pauses
from uniassist.web.auth import signing
from uniassist.web.calling.client import BadStatus, CallFailed, JsonClient

log = structlog.get_logger()

T = TypeVar("T")

_ATTEMPT_SECONDS = 2.5
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.4
_REPORT_SECONDS = 10.0
_ENDED = ("completed", "failed", "cancelled")
PROVIDER_ID = "adapter-wechat"


class GatewayClient:
    """Calls to the gateway. Deadlines are the loop's time.

    adapter_secret: signs what people say.
    token: vouches for our reports.
    """

    def __init__(self, client: JsonClient, base_url: str, *, adapter_secret: str, token: str) -> None:
        self._client = client
        self._base_url = base_url
        self._adapter_secret = adapter_secret
        self._token = token

    async def check(self) -> None:
        """CallFailed when the gateway doesn't live."""
        url = f"{self._base_url}/health/live"
        answer = await self._client.request("GET", url, timeout_seconds=0.8)
        if answer.status != 200:
            raise BadStatus(f"{url}: answered {answer.status}", answer.status, b"")

    async def ingest(self, message: UnifiedUserInput, deadline: float) -> IngestAck:
        """The acknowledgement: from then on the input is durable. CallFailed when there is none by `deadline`.

        Safe to repeat: the gateway knows the input by its channel.messageId.
        """
        body = codec.encode(message)
        pauses = Pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            try:
                return await self._ingest_once(body, deadline)
            except CallFailed as error:
                if is_final(error) or not await pauses.wait(deadline):
                    log.error("the gateway did not take an input", traceId=message.trace_id, reason=str(error))
                    raise
                log.warning("ingest failed, trying again", traceId=message.trace_id, reason=str(error))

    async def interact(
        self,
        interaction: UserInteraction,
        *,
        nonce: str,
        was_taken: Callable[[], Awaitable[bool]],
        deadline: float,
    ) -> None:
        """Returns once the interaction is taken. CallFailed; a BadStatus when the gateway refuses it for good.

        nonce: the same at each repetition. The gateway takes it once, and so the interaction.
        was_taken: tells, once a nonce was refused as used, whether it was used for this interaction.
        """
        body = codec.encode(interaction)
        pauses = Pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            try:
                await self._signed("POST", "/v0/interact", InteractAck, deadline, body, nonce)
            except CallFailed as error:
                if isinstance(error, BadStatus) and error.status == 401 and await was_taken():
                    return
                if is_final(error) or not await pauses.wait(deadline):
                    reason = str(error)
                    log.error("the gateway did not take a choice", traceId=interaction.trace_id, reason=reason)
                    raise
            else:
                return

    async def finished(self, ack: IngestAck, deadline: float) -> bool:
        """Whether all of the input's runs have ended, and those that they hand over to; False at `deadline`."""
        if all(run.mode == "sync" for run in ack.runs):
            return True
        session_id, cursor = _place(ack)
        awaited = {run.run_id for run in ack.runs}
        pauses = Pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            page = await self._page(session_id, cursor, deadline)
            for event in page.events if page is not None else ():
                # Who hands over ends in the transaction that begins the other run.
                awaited |= _run_of(event, ack.trace_id)
                awaited -= _ended_run(event)
            if not awaited:
                return True
            if page is not None:
                cursor = page.next_cursor
            if not await pauses.wait(deadline):
                return False

    async def report(self, events: Sequence[LateDeliveryEvent]) -> ProviderEventsResponse:
        """Safe to repeat: each is accepted once for its id. CallFailed."""
        asked = ProviderEventsRequest(
            schema_version=SCHEMA_VERSION,
            provider_id=PROVIDER_ID,
            events=list(events),
            timestamp_ms=int(time.time() * 1000),
        )
        return await self._client.post_json(
            f"{self._base_url}/v0/events",
            asked,
            ProviderEventsResponse,
            timeout_seconds=_REPORT_SECONDS,
            headers={"Authorization": f"Bearer {self._token}"},
        )

    async def _ingest_once(self, body: bytes, deadline: float) -> IngestAck:
        return await self._signed("POST", "/v0/ingest", IngestAck, deadline, body, signing.fresh_nonce())

    async def _signed(
        self, method: str, path_and_query: str, shape: type[T], deadline: float, body: bytes | None, nonce: str
    ) -> T:
        """The answer to a signed request. CallFailed.

        The adapter is rolled out before the gateway, and one of before knows the first form only: it is tried with
        the same nonce, so that the two are taken once.
        """
        now_ms, target = int(time.time() * 1000), signing.Target(method, path_and_query.encode())
        second = signing.sign_request(self._adapter_secret, target, body or b"", now_ms=now_ms, nonce=nonce)
        try:
            return await self._ask(target, shape, deadline, body, second)
        except BadStatus as error:
            if error.status != 401:
                raise
        signed = body if body is not None else path_and_query.encode()
        first = signing.sign(self._adapter_secret, signed, now_ms=now_ms, nonce=nonce)
        return await self._ask(target, shape, deadline, body, first)

    async def _ask(
        self, target: signing.Target, shape: type[T], deadline: float, body: bytes | None, headers: dict[str, str]
    ) -> T:
        url, seconds = self._base_url + target.path_and_query.decode(), _bounded(deadline)
        if body is None:
            return await self._client.get_json(url, shape, timeout_seconds=seconds, headers=headers)
        return await self._client.post_json(url, body, shape, timeout_seconds=seconds, headers=headers)

    async def _page(self, session_id: str, cursor: int, deadline: float) -> TimelinePage | None:
        target = f"/v0/timeline?{urlencode({'sessionId': session_id, 'cursor': cursor})}"
        try:
            return await self._signed("GET", target, TimelinePage, deadline, None, signing.fresh_nonce())
        except CallFailed as error:
            log.warning("can't read the timeline", sessionId=session_id, reason=str(error))
            return None


def _bounded(deadline: float) -> float:
    return max(0.0, min(_ATTEMPT_SECONDS, deadline - _now()))


def _now() -> float:
    return asyncio.get_running_loop().time()


def is_final(error: CallFailed) -> bool:
    """Whether the gateway will say the same the next time."""
    return isinstance(error, BadStatus) and 400 <= error.status < 500 and error.status not in (409, 429)


def _place(ack: IngestAck) -> tuple[str, int]:
    """Where the answer appears: session and cursor. It may be a successor of the session that was written to."""
    named = parse_qs(urlsplit(ack.stream.href).query).get("sessionId")
    return (named[0] if named else ack.session_id), ack.stream.cursor


def _run_of(event: TimelineEvent, trace_id: str) -> set[str]:
    """The run of that input whose state the event tells."""
    is_its = event.kind == "provider_run" and event.trace_id == trace_id
    return {event.run_id} if is_its and event.run_id is not None else set()


def _ended_run(event: TimelineEvent) -> set[str]:
    ended = (
        event.kind == "provider_run" and isinstance(event.payload, dict) and event.payload.get("status") in _ENDED
    )
    return {event.run_id} if ended and event.run_id is not None else set()
