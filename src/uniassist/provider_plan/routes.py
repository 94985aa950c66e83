"""The provider side of the contract over HTTP: reads and checks a call, counts it, writes the answer."""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.codec import MAX_BODY_BYTES, MAX_NESTING
from uniassist.contracts.provider import (
    Capabilities,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
    ProviderManifest,
    Security,
    Sla,
)
from uniassist.errors import InvalidRequest
from uniassist.provider_plan import answers
from uniassist.web.app import json_response
from uniassist.web.openapi import Operation
from uniassist.web.problems import set_trace_id
from uniassist.web.requests import read_shape

T = TypeVar("T")

# A call carries a person's body, which may itself be as large and as deep as the contract allows.
MAX_CALL_BYTES = MAX_BODY_BYTES + 64 * 1024
MAX_CALL_NESTING = MAX_NESTING + 1

INVALID_INVOKE = "INVALID_INVOKE_REQUEST"
INVALID_INTERACT = "INVALID_INTERACT_REQUEST"


class Routes:
    """One method for each call of the contract's provider side."""

    def __init__(self, *, version: str, metrics: CollectorRegistry) -> None:
        self._version = version
        self._calls = Counter(
            "uniassist_provider_plan_calls", "Calls by kind and outcome.", ("call", "outcome"), registry=metrics
        )

    async def invoke(self, request: Request) -> Response:
        asked = await self._read(request, InvokeRequest, INVALID_INVOKE, "invoke")
        set_trace_id(request, asked.input.trace_id)
        self._check_provider("run.providerId", asked.run.provider_id, INVALID_INVOKE, "invoke")
        answer = answers.invoke(asked)
        self._calls.labels("invoke", "answered").inc()
        return json_response(answer)

    async def interact(self, request: Request) -> Response:
        asked = await self._read(request, InteractRequest, INVALID_INTERACT, "interact")
        set_trace_id(request, asked.interaction.trace_id)
        self._check_provider("interaction.providerId", asked.interaction.provider_id, INVALID_INTERACT, "interact")
        answer = answers.interact(asked)
        self._calls.labels("interact", "answered").inc()
        return json_response(answer)

    async def manifest(self, _request: Request) -> Response:
        return json_response(
            ProviderManifest(
                schema_version=SCHEMA_VERSION,
                provider_id=answers.PROVIDER_ID,
                name="Plan",
                version=self._version,
                description="Collects what a plan needs (goal, due date, constraints) and confirms it.",
                capabilities=Capabilities(
                    inputs=["text"],
                    interaction_events=["ack", "assistant_message", "provider_extension"],
                    streaming=False,
                ),
                sla=Sla(ack_within_ms=1000, max_sync_response_ms=3000),
                security=Security(auth="none", required_scopes=[]),
            )
        )

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/v0/invoke",
                self.invoke,
                "Start a run: an acknowledgement and the form",
                InvokeResponse,
                request=InvokeRequest,
                tags=("provider",),
                description=f"A bad call is answered 400 with the code `{INVALID_INVOKE}`.",
            ),
            Operation(
                "POST",
                "/v0/interact",
                self.interact,
                "A person's answer to the form",
                InteractResponse,
                request=InteractRequest,
                tags=("provider",),
                description=f"A bad call is answered 400 with the code `{INVALID_INTERACT}`.",
            ),
            Operation(
                "GET",
                "/.well-known/uniassist/manifest.json",
                self.manifest,
                "What this provider is and can do",
                ProviderManifest,
                tags=("provider",),
            ),
        ]

    async def _read(self, request: Request, shape: type[T], code: str, call: str) -> T:
        try:
            return await read_shape(request, shape, MAX_CALL_BYTES, MAX_CALL_NESTING)
        except InvalidRequest as error:
            raise self._refusal(error.detail, code, call) from None

    def _check_provider(self, field: str, provider_id: str, code: str, call: str) -> None:
        if provider_id != answers.PROVIDER_ID:
            raise self._refusal(f"{field}: expected {answers.PROVIDER_ID}", code, call)

    def _refusal(self, detail: str, code: str, call: str) -> InvalidRequest:
        self._calls.labels(call, "refused").inc()
        return InvalidRequest(detail, code=code)
