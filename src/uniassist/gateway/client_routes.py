"""What clients write: a message, an interaction, a cancellation."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts import codec, examples
from uniassist.contracts.inputs import (
    IngestAck,
    InteractAck,
    RunCancellation,
    RunCancelled,
    UnifiedUserInput,
    UserInteraction,
)
from uniassist.errors import (
    IdempotencyMismatch,
    NotFound,
    RateLimited,
    SessionNotFound,
    Unavailable,
)
from uniassist.gateway.callers import CLIENTS, MESSAGES, SIGNED, Callers, Writer
from uniassist.gateway.intake import KEY, Intake, keyed
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.turns.turn import Idempotency
from uniassist.web import requests
from uniassist.web.bodies import read_body
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.problems import set_trace_id
from uniassist.web.traced import TRACEPARENT

_RUN = Parameter("runId", "path", "The run.", required=True, example=examples.RUN_ID)
_TAGS = ("client",)


class ClientRoutes:
    """One method for each call with which apps and channels write."""

    def __init__(self, *, intake: Intake, metrics: GatewayMetrics, callers: Callers) -> None:
        self._intake = intake
        self._metrics = metrics
        self._callers = callers

    @serves(
        Operation(
            "POST",
            "/v0/ingest",
            "Accept an input: durable before the answer",
            IngestAck,
            request=UnifiedUserInput,
            request_example=examples.INPUT,
            response_example=examples.INGEST_ACK,
            parameters=(KEY, TRACEPARENT, *MESSAGES),
            security=CLIENTS,
            problems=(SessionNotFound, IdempotencyMismatch, RateLimited, Unavailable),
            tags=_TAGS,
            description="Every source but `app` signs its requests.",
        )
    )
    async def ingest(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            answer = await self._ingest(request)
        except BaseException:
            self._metrics.ingest_failed()
            raise
        self._metrics.ingested(time.perf_counter() - began)
        return Response(answer, media_type="application/json")

    async def _ingest(self, request: Request) -> bytes:
        shown = await self._callers.shown(request)
        body = await read_body(request)
        signer = self._callers.signer(shown, request, body)
        message = codec.decode(body, UnifiedUserInput)
        set_trace_id(request, message.trace_id)
        writer = self._callers.writer(shown, signer, message.user_id, must_sign=message.source != "app")
        idempotency = _idempotency(request, message, body, writer)
        return await self._intake.ingest(request, writer, message, idempotency=idempotency, size_bytes=len(body))

    @serves(
        Operation(
            "POST",
            "/v0/interact",
            "A user's answer to what was shown",
            InteractAck,
            request=UserInteraction,
            request_example=examples.INTERACTION,
            response_example=examples.INTERACT_ACK,
            parameters=(KEY, TRACEPARENT, *MESSAGES),
            security=CLIENTS,
            problems=(SessionNotFound, IdempotencyMismatch, RateLimited, Unavailable),
            tags=_TAGS,
        )
    )
    async def interact(self, request: Request) -> Response:
        shown = await self._callers.shown(request)
        body = await read_body(request)
        signer = self._callers.signer(shown, request, body)
        interaction = codec.decode(body, UserInteraction)
        set_trace_id(request, interaction.trace_id)
        writer = self._callers.writer(shown, signer, interaction.user_id)
        scope = f"interact:{writer.caller.subject or interaction.user_id}"
        idempotency = _repeated(request, scope, body, writer)
        answer = await self._intake.interact(
            request, writer, interaction, idempotency=idempotency, size_bytes=len(body)
        )
        return Response(answer, media_type="application/json")

    @serves(
        Operation(
            "POST",
            "/v0/runs/{runId}/cancel",
            "Cancel a run that is under way",
            RunCancelled,
            request=RunCancellation,
            request_example=examples.CANCELLATION,
            response_example=examples.RUN_CANCELLED,
            parameters=(_RUN, TRACEPARENT, *SIGNED),
            security=CLIENTS,
            problems=(NotFound, SessionNotFound, RateLimited, Unavailable),
            tags=_TAGS,
        )
    )
    async def cancel(self, request: Request) -> Response:
        shown = await self._callers.shown(request)
        body = await read_body(request)
        signer = self._callers.signer(shown, request, body)
        asked = codec.decode(body, RunCancellation)
        set_trace_id(request, asked.trace_id)
        writer = self._callers.writer(shown, signer, asked.user_id)
        run_id = requests.path_field(request, _RUN.name)
        return Response(await self._intake.cancel(request, writer, asked, run_id), media_type="application/json")


def _idempotency(request: Request, message: UnifiedUserInput, body: bytes, writer: Writer) -> Idempotency | None:
    """By the client's key, else by the channel's message id: a channel pushes the same message again."""
    subject = writer.caller.subject
    scope = f"ingest:{message.user_id}" if subject is None else f"ingest-as:{subject}"
    if (found := keyed(request, scope, body)) is not None:
        return found
    if message.channel is not None and message.channel.message_id is not None:
        return Idempotency(scope, f"message:{message.source}:{message.channel.message_id}")
    return _repeated(request, scope, body, writer)


def _repeated(request: Request, scope: str, body: bytes, writer: Writer) -> Idempotency | None:
    """By the client's key, else by the id under which a webhook is sent again."""
    if (found := keyed(request, scope, body)) is not None:
        return found
    return None if writer.message_id is None else Idempotency(scope, f"webhook:{writer.message_id}")
