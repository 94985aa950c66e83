"""How a front's request gets in: who asks, and whether their text is an input or answers what was asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.inputs import IngestAck, UnifiedUserInput, UserInteraction
from uniassist.contracts.timeline import InteractionPayload
from uniassist.errors import InvalidRequest
from uniassist.gateway.callers import Callers, Shown, Writer
from uniassist.gateway.fronts.asking import Answered, asked_in, read_answer, read_payload
from uniassist.gateway.fronts.following import Requested
from uniassist.gateway.intake import Intake
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.routing import BUILTIN
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.interact import NEW_SESSION, SWITCH
from uniassist.gateway.turns.turn import Idempotency
from uniassist.store import fronts as store
from uniassist.store.server.pool import Pool
from uniassist.web.auth.app_tokens import AppToken

_LAST_WORDS = ("inbound", "user_interaction")


@dataclass(frozen=True)
class _Answer:
    """A text that answers what was asked: the interaction that it stands for, and the seq before it."""

    session_id: str
    cursor: int
    provider_id: str
    run_id: str
    answered: Answered


@dataclass(frozen=True)
class _Words:
    """An answer that is a text for whoever asked. None: the gateway did, so the router decides."""

    provider_id: str | None


@dataclass(frozen=True)
class Reply:
    """To what an event asks, by name. `payload`: text, values by name, or `{"key": …}` of an option."""

    event_id: str
    payload: Any


class Entrance:
    """One for all fronts."""

    def __init__(self, *, pool: Pool, callers: Callers, intake: Intake, metrics: GatewayMetrics) -> None:
        self._pool = pool
        self._callers = callers
        self._intake = intake
        self._metrics = metrics

    async def ask(
        self,
        request: Request,
        token: AppToken | None,
        message: UnifiedUserInput,
        *,
        idempotency: Idempotency | None,
        size_bytes: int,
        addressed: str | None = None,
        answers: bool = True,
        reply: Reply | None = None,
        goes_on: bool = False,
    ) -> Requested:
        """Write the message, or the interaction that it stands for; the request's, once, where it has a key.

        A request that is repeated under its key has the same `trace_id`, and is found by that.
        `answers`: its text may answer what was asked; False: it is an input.
        `reply`: it answers that; InvalidRequest where nothing asks it any more.
        `goes_on`: its `trace_id` is that of an earlier request, which it belongs to.
        """
        began = time.perf_counter()
        try:
            writer = self._callers.writer(Shown(token=token), None, message.user_id)
            subject = writer.caller.subject
            if idempotency is not None and not goes_on:
                found = await self._before(message, subject)
                if found is not None:
                    return found
            answer = await self._read(message, subject, reply) if answers else None
            if isinstance(answer, _Words):
                addressed = answer.provider_id or addressed
            if isinstance(answer, _Answer):
                requested = await self._interact(request, writer, message, answer, idempotency, size_bytes)
            else:
                raw = await self._intake.ingest(
                    request,
                    writer,
                    message,
                    idempotency=idempotency,
                    size_bytes=size_bytes,
                    addressed=addressed,
                )
                requested = _written(raw, message)
        except BaseException:
            self._metrics.ingest_failed()
            raise
        self._metrics.ingested(time.perf_counter() - began)
        return requested

    async def _before(self, message: UnifiedUserInput, subject: str | None) -> Requested | None:
        """The same request, when it was written before."""
        found = await store.traced(
            self._pool, message.session_id, message.user_id, message.trace_id, subject=subject
        )
        if found is None:
            return None
        is_input = found.kind == "inbound"
        run_id = None if is_input else found.run_id
        return Requested(
            found.session_id, found.seq - 1, message.trace_id, found.timestamp_ms, is_input, run_id=run_id
        )

    async def _read(
        self, message: UnifiedUserInput, subject: str | None, reply: Reply | None
    ) -> _Answer | _Words | None:
        """What the text answers of what was asked since the person's last word; None: it is a message."""
        text = message.text or ""
        if reply is None and (not text.strip() or message.attachments):
            return None
        shown = await store.last_shown(self._pool, message.session_id, message.user_id, subject=subject)
        answered_runs = set[str | None]()
        for event in shown:  # the newest first
            if (
                event.kind == "user_interaction" and reply is not None
            ):  # of what others asked, one is answered by name
                answered_runs.add(event.run_id)
            elif event.kind in _LAST_WORDS:
                break
            if event.kind != "interaction" or (reply is not None and event.event_id != reply.event_id):
                continue
            if event.run_id in answered_runs:
                break
            asked = asked_in(msgspec.json.decode(event.payload, type=InteractionPayload).event)
            if asked is None:
                if reply is not None:  # a question without choices: its answer is a text
                    return _Words(event.provider_id if event.provider_id != BUILTIN else None)
                continue
            stands = event.floor is not None and (event.floor_until_ms or 0) > now_ms()
            is_expected = stands and event.floor == event.provider_id
            answered = (
                read_payload(asked, reply.payload)
                if reply is not None
                else read_answer(asked, text, is_expected=is_expected)
            )
            if answered is not None:
                return _Answer(
                    event.session_id, shown[0].seq, event.provider_id or BUILTIN, event.run_id or BUILTIN, answered
                )
            if reply is not None:
                return _Words(event.provider_id if event.provider_id != BUILTIN else None)
        if reply is not None:
            raise InvalidRequest("resume[0].interruptId: expected one that still waits for its answer")
        return None

    async def _interact(
        self,
        request: Request,
        writer: Writer,
        message: UnifiedUserInput,
        answer: _Answer,
        idempotency: Idempotency | None,
        size_bytes: int,
    ) -> Requested:
        answered = answer.answered
        interaction = UserInteraction(
            schema_version=SCHEMA_VERSION,
            trace_id=message.trace_id,
            session_id=answer.session_id,
            user_id=message.user_id,
            provider_id=answer.provider_id,
            run_id=answer.run_id,
            action_id=answered.action_id,
            payload=answered.payload,
            timestamp_ms=message.timestamp_ms,
        )
        await self._intake.interact(request, writer, interaction, idempotency=idempotency, size_bytes=size_bytes)
        of_session = answered.action_id.startswith((SWITCH, NEW_SESSION))
        return Requested(
            answer.session_id,
            answer.cursor,
            message.trace_id,
            message.timestamp_ms,
            False,
            run_id=None if of_session else answer.run_id,
        )


def _written(raw: bytes, message: UnifiedUserInput) -> Requested:
    """`raw`: an IngestAck; or an InteractAck, where the request is repeated and was an answer the first time."""
    try:
        ack = msgspec.json.decode(raw, type=IngestAck)
    except msgspec.ValidationError:
        return Requested(message.session_id, 0, message.trace_id, message.timestamp_ms, is_input=False)
    return Requested(ack.session_id, ack.stream.cursor, ack.trace_id, ack.timestamp_ms, is_input=True)
