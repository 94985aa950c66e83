"""The gateway held to its own OpenAPI document, by schemathesis."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from tests.integration.gateway.client import GatewayClient, decoded, provider_headers
from tests.integration.gateway.declared import OPERATIONS
from tests.processes import ServiceProcess

from uniassist.contracts import codec
from uniassist.gateway.callers import PROVIDERS
from uniassist.web.operations import Operation

# It never ends, so schemathesis can't call it; test_streams_sse.py reads it, the last test here its refusals.
ENDLESS = "/v0/stream"
# What a valid body is isn't all in its schema (the last message is the user's); the fronts' own tests tell.
FRONTS = ["/v1/chat/completions", "/a2a", "/ag-ui"]
FRONTS += ["/a2a/message:send", "/a2a/message:stream", "/a2a/tasks/{id}:subscribe"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_it_answers_as_it_declares(shared_process: ServiceProcess, mode: GenerationMode) -> None:
    """All of schemathesis's checks; `ignored_auth` among them calls again without the token."""
    schema = schemathesis.openapi.from_url(f"{shared_process.url}/openapi.json").exclude(path=[ENDLESS, *FRONTS])
    schema.config.generation.update(
        allow_x00=False
    )  # U+0000 is a character to JSON Schema, and none to the contract
    # 422: two examples may share an Idempotency-Key.
    schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "401", "403", "404", "422"]
    schema.auth()(Token)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 10
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answers(case: Any) -> None:
            if mode.is_positive:
                case.body = _with_plain_integers(case.body)
            if mode.is_positive and case.path == "/v0/interact":
                # A session that an earlier example opened has no such run: 400, and the schema can't say it.
                case.body["sessionId"] = "never opened"
            case.call_and_validate(timeout=20)

        if mode.is_positive or operation.body or operation.query:
            answers()


class Token:
    def get(self, _case: Any, _context: Any) -> dict[str, str]:
        return provider_headers(None)

    def set(self, case: Any, data: dict[str, str], _context: Any) -> None:
        if "/events" in case.path or "/context" in case.path:
            case.headers.update(data)


def _with_plain_integers(value: Any) -> Any:
    """To JSON Schema 1.0 is an integer; the contract's integers have no point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [_with_plain_integers(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_plain_integers(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
async def test_a_worked_example_is_taken(gateway: GatewayClient, operation: Operation) -> None:
    """It may concern nobody, or nobody yet; but it is never invalid."""
    path, fields = operation.path, dict[str, object]()
    for parameter in operation.parameters:
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", str(parameter.example))
        elif parameter.where == "query" and parameter.example is not None:
            fields[parameter.name] = parameter.example
    headers = provider_headers("*") if operation.security is PROVIDERS else {}
    target = f"{path}?{urlencode(fields)}" if fields else path
    if operation.method == "POST":
        answer = await gateway.post(target, codec.encode(operation.request_example), headers)
    elif path == ENDLESS:
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}{target}") as response:
            assert response.status == 200
        return
    else:
        answer = await gateway.get(target, headers)
    assert answer.status in (200, 404), answer.body
    if isinstance(operation.response, type) and answer.status == 200:
        codec.decode(answer.body, operation.response)


async def test_every_call_of_the_contract_is_declared(gateway: GatewayClient) -> None:
    document = decoded(await gateway.get("/openapi.json"))
    assert document["openapi"].startswith("3.1")
    declared = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert declared >= {
        ("POST", "/v0/ingest"),
        ("POST", "/v0/interact"),
        ("GET", "/v0/stream"),
        ("GET", "/v0/timeline"),
        ("POST", "/v0/events"),
        ("GET", "/v0/context/users/{profileRef}"),
        ("GET", "/.well-known/uniassist/manifest.json"),
        ("GET", "/v0/metrics"),
        ("GET", "/health"),
        ("GET", "/health/live"),
        ("GET", "/metrics"),
    }
    for path in ("/v0/ingest", "/v0/interact", "/v0/stream", "/v0/timeline", "/v0/runs/{runId}/cancel"):
        [described] = document["paths"][path].values()
        schemes = [set(alternative) for alternative in described["security"]]
        assert schemes == [{"appToken"}, {"signature", "timestamp", "nonce"}, set()], path
    for path in ("/v0/events", "/v0/context/users/{profileRef}"):
        [described] = document["paths"][path].values()
        assert described["security"] == [{"providerToken": []}], path
    stream = document["paths"][ENDLESS]["get"]
    assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]
    refusal = await gateway.get(f"{ENDLESS}?sessionId=s&cursor=x")
    assert str(refusal.status) in stream["responses"]
