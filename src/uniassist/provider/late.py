"""What a provider reports after its answer: progress, more messages, the end of a run, events of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uniassist.contracts import codec
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.interaction import (
    AssistantMessage,
    DomainEvent,
    ExtensionPayload,
    InteractionEvent,
    Progress,
    ProviderExtension,
)
from uniassist.contracts.provider import (
    EventRejection,
    LateDomainEvent,
    LateEvent,
    LateInteraction,
    LateRunEnd,
    ProviderEventsRequest,
    ProviderEventsResponse,
)
from uniassist.lifecycle import Pauses
from uniassist.web.calling.client import BadStatus, CallFailed, JsonClient

_ATTEMPT_SECONDS = 5.0
_TOLD_FOR_SECONDS = 120.0
_CALLER_IS_WRONG = (400, 401, 403, 404, 413)


class NotAccepted(Exception):
    """The gateway refuses the event, and would again: the run is over or cancelled, say. The message says why."""


@dataclass(frozen=True)
class Run:
    """Names a run for what comes later. Plain data: keep it with what is due."""

    provider_id: str
    run_id: str
    session_id: str
    user_id: str
    trace_id: str


class Gateway:
    """Tells the gateway, again and again while it can't be reached; each event counts once.

    `token`: what the gateway knows us by (`access_token_env` of our entry).
    Every method raises NotAccepted, or CallFailed when the gateway couldn't be told for two minutes. `event_id`:
    the event's own, where it must count once though this process is restarted meanwhile.
    """

    def __init__(self, client: JsonClient, base_url: str, *, provider_id: str, token: str | None) -> None:
        self._client = client
        self._url = f"{base_url.rstrip('/')}/v0/events"
        self._provider_id = provider_id
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    async def send(self, run: Run, event: InteractionEvent, *, event_id: str | None = None) -> None:
        """Any event of the contract, into the run's session."""
        await self.tell(
            LateInteraction(
                event_id=event_id or _new_id(),
                trace_id=run.trace_id,
                session_id=run.session_id,
                user_id=run.user_id,
                run_id=run.run_id,
                event=event,
                timestamp_ms=_now_ms(),
            )
        )

    async def say(self, run: Run, text: str, *, event_id: str | None = None) -> None:
        await self.send(run, AssistantMessage(text=text), event_id=event_id)

    async def progress(self, run: Run, step: int, total: int, label: str | None = None) -> None:
        """`step` of `total` is done."""
        payload = ExtensionPayload(progress=Progress(step=step, total=total, label=label))
        await self.send(run, ProviderExtension(extension_kind="data_collection_progress", payload=payload))

    async def ended(self, run: Run, status: Literal["completed", "failed"], *, event_id: str | None = None) -> None:
        """A run that stayed open is over."""
        await self.tell(
            LateRunEnd(
                event_id=event_id or _new_id(),
                trace_id=run.trace_id,
                session_id=run.session_id,
                user_id=run.user_id,
                run_id=run.run_id,
                status=status,
                timestamp_ms=_now_ms(),
            )
        )

    async def domain_event(self, event: DomainEvent, *, event_id: str | None = None) -> None:
        """A reminder, say. Without a session it goes to the person's latest."""
        await self.tell(LateDomainEvent(event_id=event_id or _new_id(), event=event))

    async def tell(self, event: LateEvent) -> None:
        """One late event, as the contract has it."""
        deadline, pauses = time.monotonic() + _TOLD_FOR_SECONDS, Pauses(0.2, 5.0)
        while True:  # ends: with an answer, or with the deadline
            try:
                refused = await self.tell_once([event])
            except BadStatus as error:
                if error.status in _CALLER_IS_WRONG:
                    raise NotAccepted(f"{error}: {error.body.decode('utf-8', 'replace')}") from None
                if time.monotonic() > deadline:
                    raise
            except CallFailed:
                if time.monotonic() > deadline:
                    raise
            else:
                if refused:
                    raise NotAccepted("; ".join(f"{each.code}: {each.message}" for each in refused.values()))
                return
            await pauses.wait()

    async def tell_once(self, events: Sequence[LateEvent]) -> dict[int, EventRejection]:
        """Many late events (1,000 at most) in one try, for whoever keeps them and tries again by themselves.

        Those that are refused, by their place. CallFailed: they weren't told, or it isn't known; with ids of their
        own all may be told again. BadStatus 401 or 403: the token isn't good for that.
        """
        body = ProviderEventsRequest(
            schema_version=SCHEMA_VERSION,
            provider_id=self._provider_id,
            events=list(events),
            timestamp_ms=_now_ms(),
        )
        answer = await self._client.post_json(
            self._url,
            codec.encode(body),
            ProviderEventsResponse,
            timeout_seconds=_ATTEMPT_SECONDS,
            headers=self._headers,
        )
        return {each.index: each for each in answer.errors or []}


def _new_id() -> str:
    return f"late-{uuid.uuid4().hex}"


def _now_ms() -> int:
    return int(time.time() * 1000)
