"""`/a2a` by JSON-RPC, and the agent card."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from uniassist.errors import RateLimited, Unavailable, UniAssistError
from uniassist.gateway.callers import APPS
from uniassist.gateway.fronts.a2a import faults
from uniassist.gateway.fronts.a2a.card import card
from uniassist.gateway.fronts.a2a.faults import Fault, fault_of, refused
from uniassist.gateway.fronts.a2a.handling import A2A_VERSION, LAST_EVENT_ID, A2aTasks, Asker, check_version
from uniassist.gateway.fronts.a2a.reading import frame, params_of, read
from uniassist.gateway.fronts.a2a.shapes import (
    EXAMPLE,
    VERSION,
    AgentCard,
    ListParams,
    RpcAnswer,
    RpcRefused,
    RpcRequest,
    SendParams,
    TaskParams,
)
from uniassist.gateway.providers.registry import ProviderRegistry
from uniassist.web import requests
from uniassist.web.bodies import read_body
from uniassist.web.operations import Content, Operation, Parameter, Refusing, serves
from uniassist.web.responses import json_response
from uniassist.web.traced import TRACEPARENT

_REFUSING = Refusing(RpcRefused, refused)
_PROTO = Parameter("X-Forwarded-Proto", "header", "https behind a proxy that ends TLS.")
_TAGS = ("a2a",)


class A2aRoutes:
    def __init__(self, *, tasks: A2aTasks, registry: ProviderRegistry, version: str, asks_for_token: bool) -> None:
        self._tasks = tasks
        self._registry = registry
        self._version = version
        self._asks_for_token = asks_for_token

    @serves(
        Operation(
            "GET",
            "/.well-known/agent-card.json",
            "A2A's agent card: who can help here, as skills",
            AgentCard,
            parameters=(_PROTO,),
            tags=_TAGS,
        )
    )
    async def agent_card(self, request: Request) -> Response:
        proto = requests.header(request, _PROTO.name, max_length=64)
        base = request.base_url.replace(scheme="https") if proto == "https" else request.base_url
        found = card(self._registry.catalogue, f"{base}a2a", self._version, asks_for_token=self._asks_for_token)
        return json_response(found, headers={"Vary": "Host, X-Forwarded-Proto"})

    @serves(
        Operation(
            "POST",
            "/a2a",
            "A2A by JSON-RPC: SendMessage, SendStreamingMessage, GetTask, ListTasks, CancelTask, SubscribeToTask",
            RpcAnswer,
            request=RpcRequest,
            request_example=EXAMPLE,
            parameters=(A2A_VERSION, LAST_EVENT_ID, TRACEPARENT),
            security=APPS,
            problems=(RateLimited, Unavailable),
            tags=_TAGS,
            description="What is wrong with a request itself is answered 200, as JSON-RPC has it "
            "(`docs/fronts-a2a.md`).",
            refusing=_REFUSING,
            also=(Content("text/event-stream", description="Of the two methods that stream"),),
        )
    )
    async def a2a(self, request: Request) -> Response:
        asker = await self._tasks.asker(request)
        body = await read_body(request)
        asked = read(body)
        try:
            check_version(request)
            return await self._answer(request, asker, asked, len(body))
        except UniAssistError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            return json_response(RpcRefused("2.0", asked.id, fault_of(error)))

    async def _answer(self, request: Request, asker: Asker, asked: RpcRequest, size: int) -> Response:
        tasks = self._tasks
        match asked.method:
            case "SendMessage":
                return _answered(asked, await tasks.send(request, asker, params_of(asked, SendParams), size))
            case "SendStreamingMessage":
                params = params_of(asked, SendParams)
                return await tasks.send_streaming(request, asker, params, size, partial(frame, asked))
            case "SubscribeToTask":
                task_id = params_of(asked, TaskParams).id
                return await tasks.subscribe(request, asker, task_id, partial(frame, asked))
            case "GetTask":
                return _answered(asked, await tasks.get(asker, params_of(asked, TaskParams)))
            case "ListTasks":
                return _answered(asked, await tasks.listed(asker, params_of(asked, ListParams)))
            case "CancelTask":
                return _answered(asked, await tasks.cancel(request, asker, params_of(asked, TaskParams)))
            case name if "PushNotificationConfig" in name:
                raise Fault(faults.NO_PUSH, "method: push notifications aren't sent; subscribe to the task")
            case "GetExtendedAgentCard":
                raise Fault(faults.UNSUPPORTED, "method: there is no extended card")
        raise Fault(faults.NO_METHOD, f"method: {asked.method[:64]!r} is none of A2A {VERSION}'s")


def _answered(asked: RpcRequest, result: Any) -> Response:
    return json_response(RpcAnswer("2.0", asked.id, result))
