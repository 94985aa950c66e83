"""What clients write: a message, an interaction, a cancellation."""

from __future__ import annotations

import hashlib
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
    InvalidRequest,
    NotFound,
    RateLimited,
    SessionNotFound,
    Unavailable,
)
from uniassist.gateway.bounds.bounds import Asker, Bounds
from uniassist.gateway.callers import CLIENTS, MESSAGES, SIGNED, Callers, Writer
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.gateway.turns import access
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.cancel import Cancel
from uniassist.gateway.turns.group_commit import GroupCommit
from uniassist.gateway.turns.idle import activity_ms
from uniassist.gateway.turns.ids import now_ms
from uniassist.gateway.turns.ingest import Ingest
from uniassist.gateway.turns.interact import NEW_SESSION, SWITCH, Interact
from uniassist.gateway.turns.turn import Idempotency, Turn
from uniassist.store.ledger import Opening
from uniassist.web import requests
from uniassist.web.bodies import read_body
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.problems import set_trace_id
from uniassist.web.traced import TRACEPARENT, traceparent

MAX_KEY_LENGTH = 255

_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same key with the same body gets the same answer, once written.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
)
_RUN = Parameter("runId", "path", "The run.", required=True, example=examples.RUN_ID)
_TAGS = ("client",)


class ClientRoutes:
    """One method for each call with which apps and channels write."""

    def __init__(
        self,
        *,
        group_commit: GroupCommit,
        registry: ProviderRegistry,
        metrics: GatewayMetrics,
        callers: Callers,
        bounds: Bounds,
    ) -> None:
        self._group_commit = group_commit
        self._registry = registry
        self._metrics = metrics
        self._callers = callers
        self._bounds = bounds

    @serves(
        Operation(
            "POST",
            "/v0/ingest",
            "Accept an input: durable before the answer",
            IngestAck,
            request=UnifiedUserInput,
            request_example=examples.INPUT,
            response_example=examples.INGEST_ACK,
            parameters=(_KEY, TRACEPARENT, *MESSAGES),
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
        caller = writer.caller
        access.check_names(message.session_id, message.user_id, caller)
        asker = self._asker(request, caller, message.user_id)
        at_ms = activity_ms(message.timestamp_ms, now_ms())
        turn = Turn(
            session_id=message.session_id,
            decide=Ingest(message, self._registry.catalogue, caller).decide,
            opening=Opening(message.session_id, message.user_id, caller.signed, at_ms, caller.subject),
            nonce=writer.nonce,
            idempotency=_idempotency(request, message, body, writer),
            traceparent=traceparent(request),
            size_bytes=len(body),
            allowance=await self._bounds.allow(asker, len(body)),
        )
        return await self._committed(turn, asker)

    @serves(
        Operation(
            "POST",
            "/v0/interact",
            "A user's answer to what was shown",
            InteractAck,
            request=UserInteraction,
            request_example=examples.INTERACTION,
            response_example=examples.INTERACT_ACK,
            parameters=(_KEY, TRACEPARENT, *MESSAGES),
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
        caller = writer.caller
        asker = self._asker(request, caller, interaction.user_id)
        of_session = interaction.action_id.startswith((SWITCH, NEW_SESSION))
        turn = Turn(
            session_id=interaction.session_id,
            decide=Interact(interaction, self._registry.catalogue, caller).decide,
            nonce=writer.nonce,
            idempotency=_repeated(request, f"interact:{caller.subject or interaction.user_id}", body, writer),
            run_id=None if of_session else interaction.run_id,
            traceparent=traceparent(request),
            follows_successor=of_session,
            size_bytes=len(body),
            allowance=await self._bounds.allow(asker, len(body)),
        )
        return Response(await self._committed(turn, asker), media_type="application/json")

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
        caller = writer.caller
        self._asker(request, caller, asked.user_id)
        run_id = requests.path_field(request, _RUN.name)
        turn = Turn(
            session_id=asked.session_id,
            decide=Cancel(asked, run_id, caller).decide,
            nonce=writer.nonce,
            run_id=run_id,
            traceparent=traceparent(request),
            follows_successor=False,
        )
        return Response(await self._group_commit.submit(turn), media_type="application/json")

    def _asker(self, request: Request, caller: Caller, user_id: str) -> Asker:
        """Who writes. RateLimited when it is too often."""
        asker = self._bounds.asker(request, user_id=caller.subject or user_id, signed=caller.signed)
        if caller.subject is None:  # of a subject all requests were counted when its token was read
            self._bounds.check_rate(asker)
        return asker

    async def _committed(self, turn: Turn, asker: Asker) -> bytes:
        answer = await self._group_commit.submit(turn)
        if turn.allowance is not None:
            await self._bounds.count_sessions(asker, turn.allowance.opened)
        return answer


def _idempotency(request: Request, message: UnifiedUserInput, body: bytes, writer: Writer) -> Idempotency | None:
    """By the client's key, else by the channel's message id: a channel pushes the same message again."""
    subject = writer.caller.subject
    scope = f"ingest:{message.user_id}" if subject is None else f"ingest-as:{subject}"
    if (keyed := _keyed(request, scope, body)) is not None:
        return keyed
    if message.channel is not None and message.channel.message_id is not None:
        return Idempotency(scope, f"message:{message.source}:{message.channel.message_id}")
    return _repeated(request, scope, body, writer)


def _repeated(request: Request, scope: str, body: bytes, writer: Writer) -> Idempotency | None:
    """By the client's key, else by the id under which a webhook is sent again."""
    if (keyed := _keyed(request, scope, body)) is not None:
        return keyed
    return None if writer.message_id is None else Idempotency(scope, f"webhook:{writer.message_id}")


def _keyed(request: Request, scope: str, body: bytes) -> Idempotency | None:
    key = requests.header(request, _KEY.name, max_length=MAX_KEY_LENGTH)
    if key is None:
        return None
    if not key.strip():
        raise InvalidRequest(f"{_KEY.name}: expected 1 to {MAX_KEY_LENGTH} characters")
    return Idempotency(scope, f"key:{key}", hashlib.sha256(body).digest())
