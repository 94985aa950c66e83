"""The provider side of the contract over HTTP: reads and checks a call, counts it, writes the answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from typing import Literal, TypeVar

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from uniassist.contracts import codec, examples
from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.bounds import MAX_BODY_BYTES, MAX_NESTING, MAX_VALUES
from uniassist.contracts.provider import (
    ErasureRequest,
    ErasureResponse,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
    ProviderManifest,
)
from uniassist.contracts.streaming import EVENT_STREAM
from uniassist.errors import InvalidProviderToken, InvalidRequest, Unavailable
from uniassist.lifecycle import Pauses
from uniassist.provider.answer import Answer, Answers
from uniassist.provider.call import Background, Call
from uniassist.provider.late import Gateway, NotAccepted, Run
from uniassist.provider.provider import Provider, interacted, invoked
from uniassist.web.bodies import check_size
from uniassist.web.calling.client import CallFailed
from uniassist.web.operations import Credentials, Operation, Parameter, bearer_scheme, serves
from uniassist.web.problems import set_trace_id
from uniassist.web.requests import bearer_token, header, read_shape
from uniassist.web.responses import json_response

log = structlog.get_logger()

T = TypeVar("T")

# A call carries a person's body, which may itself be as large, as deep and as full as the contract allows.
MAX_CALL_BYTES = MAX_BODY_BYTES + 64 * 1024
MAX_CALL_NESTING = MAX_NESTING + 1
MAX_CALL_VALUES = MAX_VALUES + 200
_END_SECONDS = 10.0
_KEPT_BYTES = 32 * 1024 * 1024

_TAGS = ("provider",)
_GATEWAY = Credentials(
    (
        (
            bearer_scheme(
                "gatewayToken", "UNIASSIST_PROVIDER_TOKEN_…, by the id. Not asked for where it isn't set."
            ),
        ),
        (),
    ),
    (InvalidProviderToken,),
)
_ACCEPT = Parameter(
    "Accept", "header", "With text/event-stream the answer may be streamed.", schema={"type": "string"}
)


class InvalidInvoke(InvalidRequest):
    code = "INVALID_INVOKE_REQUEST"


class InvalidInteract(InvalidRequest):
    code = "INVALID_INTERACT_REQUEST"


class SpecialistRoutes:
    """One method for each call of the contract's provider side. `stop()` ends what still runs."""

    def __init__(
        self, provider: Provider, *, metrics: CollectorRegistry, token: str | None, gateway: Gateway | None
    ) -> None:
        """`token`: what the gateway shows; None: anybody may call. `gateway`: hears what comes late."""
        self._provider = provider
        self._token = token
        self._gateway = gateway
        self._answers = Answers(_KEPT_BYTES, provider.events)
        self._background: set[asyncio.Task[None]] = set()
        name = provider.provider_id.replace("-", "_")
        self._calls = Counter(
            f"uniassist_provider_{name}_calls", "Calls by kind and outcome.", ("call", "outcome"), registry=metrics
        )
        under_way = Gauge(f"uniassist_provider_{name}_under_way", "Answers under way.", registry=metrics)
        under_way.set_function(lambda: self._answers.under_way)

    @serves(
        Operation(
            "POST",
            "/v0/invoke",
            "Start a run: a person's message, answered",
            InvokeResponse,
            request=InvokeRequest,
            request_example=examples.INVOKE_REQUEST,
            response_example=examples.INVOKE_RESPONSE,
            parameters=(_ACCEPT,),
            security=_GATEWAY,
            problems=(InvalidInvoke,),
            tags=_TAGS,
            body_limit_bytes=MAX_CALL_BYTES,
        )
    )
    async def invoke(self, request: Request) -> Response:
        self._check_caller(request)
        asked = await self._read(request, InvokeRequest, InvalidInvoke, "invoke")
        set_trace_id(request, asked.input.trace_id)
        self._check_provider("run.providerId", asked.run.provider_id, InvalidInvoke, "invoke")
        return await self._answer(request, asked, "invoke")

    @serves(
        Operation(
            "POST",
            "/v0/interact",
            "A person's answer to something that was sent",
            InteractResponse,
            request=InteractRequest,
            request_example=examples.INTERACT_REQUEST,
            response_example=examples.INTERACT_RESPONSE,
            parameters=(_ACCEPT,),
            security=_GATEWAY,
            problems=(InvalidInteract,),
            tags=_TAGS,
            body_limit_bytes=MAX_CALL_BYTES,
        )
    )
    async def interact(self, request: Request) -> Response:
        self._check_caller(request)
        asked = await self._read(request, InteractRequest, InvalidInteract, "interact")
        set_trace_id(request, asked.interaction.trace_id)
        self._check_provider("interaction.providerId", asked.interaction.provider_id, InvalidInteract, "interact")
        return await self._answer(request, asked, "interact")

    @serves(
        Operation(
            "POST",
            "/v0/erase",
            "Erase what is kept of a person",
            ErasureResponse,
            request=ErasureRequest,
            request_example=examples.ERASURE,
            response_example=examples.ERASED,
            security=_GATEWAY,
            tags=_TAGS,
            description="The gateway tells it when a person's data is erased, until it is answered.",
        )
    )
    async def erase(self, request: Request) -> Response:
        self._check_caller(request)
        await self._provider.forget(await read_shape(request, ErasureRequest))
        self._calls.labels("erase", "answered").inc()
        return json_response(ErasureResponse(schema_version=SCHEMA_VERSION, accepted=True))

    @serves(
        Operation(
            "GET",
            "/.well-known/uniassist/manifest.json",
            "What this provider is and can do",
            ProviderManifest,
            response_example=examples.MANIFEST,
            tags=_TAGS,
        )
    )
    async def manifest(self, _request: Request) -> Response:
        return json_response(self._provider.manifest(asks_for_token=self._token is not None))

    async def stop(self) -> None:
        await self._answers.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _answer(self, request: Request, asked: InvokeRequest | InteractRequest, kind: str) -> Response:
        provider = self._provider
        streams = provider.streaming and EVENT_STREAM in (header(request, "Accept") or "")
        within_ms = provider.streams_within_ms if streams else provider.answers_within_ms

        async def work(answer: Answer) -> None:
            call = Call(provider.provider_id, asked, answer, self._gateway)
            await provider.answer(call, answer)
            for background in call.background:
                self._go_on(background, call.run)

        answer = self._answers.of(_key_of(asked), work, within_ms / 1000)
        self._calls.labels(kind, "answered").inc()
        if streams:
            return StreamingResponse(
                answer.frames(), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"}
            )
        try:
            await answer.whole(provider.answers_within_ms / 1000)
        except TimeoutError:
            self._calls.labels(kind, "late").inc()
            raise Unavailable(f"no answer within {provider.answers_within_ms} ms") from None
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            raise Unavailable("the answer was given up; ask again") from None
        if isinstance(asked, InvokeRequest):
            return json_response(invoked(provider.provider_id, asked.run.run_id, answer))
        return json_response(interacted(asked.run.run_id, answer))

    def _go_on(self, work: Background, run: Run) -> None:
        task = asyncio.create_task(self._to_the_end(work, run))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _to_the_end(self, work: Background, run: Run) -> None:
        assert self._gateway is not None, "without a gateway there is nobody to tell"
        try:
            await work(self._gateway, run)
            await self._end(self._gateway, run, "completed")
        except NotAccepted as refused:  # cancelled meanwhile, mostly
            log.warning("what came late is refused", runId=run.run_id, reason=str(refused))
        except Exception as error:
            log.error("work in the background failed", runId=run.run_id, error=repr(error), exc_info=error)
            try:
                await self._end(self._gateway, run, "failed")
            except (NotAccepted, CallFailed) as untold:
                log.warning("a failed run couldn't be ended", runId=run.run_id, reason=str(untold))

    async def _end(self, gateway: Gateway, run: Run, status: Literal["completed", "failed"]) -> None:
        """Again for a while where it is refused: the gateway may not have it yet that the run stays open."""
        event_id, deadline, pauses = f"end-{uuid.uuid4().hex}", time.monotonic() + _END_SECONDS, Pauses(0.2, 2.0)
        while True:  # ends: with being heard, or with the deadline
            try:
                await gateway.ended(run, status, event_id=event_id)
                return
            except NotAccepted:
                if time.monotonic() > deadline:
                    raise
            await pauses.wait()

    def _check_caller(self, request: Request) -> None:
        """Before anything of the body is read."""
        check_size(request)
        if self._token is None:
            return
        shown = bearer_token(request) or ""
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            raise InvalidProviderToken("Authorization: expected Bearer and the gateway's token for this provider")

    async def _read(self, request: Request, shape: type[T], invalid: type[InvalidRequest], call: str) -> T:
        try:
            return await read_shape(request, shape, nesting=MAX_CALL_NESTING, values=MAX_CALL_VALUES)
        except InvalidRequest as error:
            raise self._refusal(error.detail, invalid, call) from None

    def _check_provider(self, field: str, provider_id: str, invalid: type[InvalidRequest], call: str) -> None:
        if provider_id != self._provider.provider_id:
            raise self._refusal(f"{field}: expected {self._provider.provider_id}", invalid, call)

    def _refusal(self, detail: str, invalid: type[InvalidRequest], call: str) -> InvalidRequest:
        self._calls.labels(call, "refused").inc()
        return invalid(detail)


def _key_of(asked: InvokeRequest | InteractRequest) -> bytes:
    """The same for the same call, whichever attempt it is. A run has one message, but any number of interactions,
    which are told apart by what they say.
    """
    first = msgspec.structs.replace(asked, run=msgspec.structs.replace(asked.run, attempt=0))
    return hashlib.sha256(codec.encode(first)).digest()
