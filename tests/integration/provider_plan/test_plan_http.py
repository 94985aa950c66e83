"""provider-plan as a process: the contract's provider side over HTTP, and its OpenAPI held to its word."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.processes import ServiceProcess
from tests.unit.provider_plan.plan_requests import interact_body, invoke_body

from uniassist.contracts import codec
from uniassist.contracts.provider import InteractResponse, InvokeResponse, ProviderManifest
from uniassist.web.client import Answer, JsonClient


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess("provider-plan", tmp_path_factory.mktemp("plan") / "log", {})
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


async def post(client: JsonClient, plan: ServiceProcess, path: str, body: object) -> Answer:
    raw = body if isinstance(body, bytes) else codec.encode(body)
    return await client.request("POST", f"{plan.url}{path}", body=raw, timeout_seconds=20)


def problem(answer: Answer) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    return codec.decode(answer.body, dict[str, Any])


async def test_the_flow_of_a_plan(plan: ServiceProcess, client: JsonClient) -> None:
    invoked = await post(client, plan, "/v0/invoke", invoke_body())
    assert invoked.status == 200
    answer = codec.decode(invoked.body, InvokeResponse)
    assert (answer.run_id, answer.provider_id) == ("run-1", "plan")
    submitted = await post(client, plan, "/v0/interact", interact_body({"values": {"goal": "学会游泳"}}))
    assert submitted.status == 200
    assert codec.decode(submitted.body, InteractResponse).run_id == "run-1"
    assert "学会游泳" in submitted.body.decode()
    scraped = (await client.request("GET", f"{plan.url}/metrics", timeout_seconds=20)).body.decode()
    assert 'uniassist_provider_plan_calls_total{call="invoke",outcome="answered"} 1.0' in scraped


async def test_a_repeated_call_gets_the_same_answer(plan: ServiceProcess, client: JsonClient) -> None:
    body = invoke_body("帮我计划学会游泳，明天开始")
    first, second = [await post(client, plan, "/v0/invoke", body) for _ in range(2)]
    assert first.body == second.body


@pytest.mark.parametrize("path", ["/v0/invoke", "/v0/interact"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"schemaVersion":"v1"}',
        b"\xff",
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b"[" * 65,
    ],
)
async def test_a_bad_call_is_refused_with_its_own_code(
    plan: ServiceProcess, client: JsonClient, path: str, body: bytes
) -> None:
    answer = await post(client, plan, path, body)
    assert answer.status == 400
    code = "INVALID_INVOKE_REQUEST" if path == "/v0/invoke" else "INVALID_INTERACT_REQUEST"
    assert problem(answer)["code"] == code


async def test_what_is_refused_is_named(plan: ServiceProcess, client: JsonClient) -> None:
    cases = [
        ("/v0/invoke", invoke_body(run={"providerId": "work"}), "run.providerId: expected plan"),
        ("/v0/invoke", invoke_body(run={"runId": ""}), "run.runId:"),
        ("/v0/invoke", invoke_body(input={"userId": 7}), "input.userId:"),
        (
            "/v0/interact",
            interact_body(interaction={"providerId": "work"}),
            "interaction.providerId: expected plan",
        ),
        ("/v0/interact", interact_body(run={"attempt": "1"}), "run.attempt:"),
    ]
    for path, body, named in cases:
        answer = await post(client, plan, path, body)
        assert answer.status == 400
        assert problem(answer)["detail"].startswith(named)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_call_may_hold_the_largest_and_deepest_body_of_a_person(
    plan: ServiceProcess, client: JsonClient
) -> None:
    deep: Any = 1
    for _ in range(codec.MAX_NESTING - 2):
        deep = [deep]
    large = "x" * codec.MAX_BODY_BYTES
    for path, body in (
        ("/v0/invoke", invoke_body(input={"raw": {"deep": deep}})),
        ("/v0/invoke", invoke_body(input={"raw": {"large": large}})),
        ("/v0/interact", interact_body({"deep": deep})),
        ("/v0/interact", interact_body({"large": large})),
    ):
        assert (await post(client, plan, path, body)).status == 200
    assert (await post(client, plan, "/v0/invoke", invoke_body(input={"raw": {"deep": [deep]}}))).status == 400


def test_a_body_too_large_is_413(plan: ServiceProcess) -> None:
    body = codec.encode(invoke_body("x" * 2_000_000))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{plan.url}/v0/invoke", data=body), timeout=20)
    with refused.value as answer:
        assert answer.code == 413
        assert codec.decode(answer.read(), dict[str, Any])["code"] == "PAYLOAD_TOO_LARGE"


async def test_manifest_and_health(plan: ServiceProcess, client: JsonClient) -> None:
    manifest = await client.get_json(
        f"{plan.url}/.well-known/uniassist/manifest.json", ProviderManifest, timeout_seconds=20
    )
    assert manifest.provider_id == "plan"
    health = await client.get_json(f"{plan.url}/health", dict[str, Any], timeout_seconds=20)
    assert (health["ok"], health["service"], health["checks"]) == (True, "provider-plan", {})


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_it_answers_as_it_declares(plan: ServiceProcess, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{plan.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 6
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answers(case: Any) -> None:
            # to JSON Schema 1.0 is an integer, U+0000 a character and "work" a providerId; the contract refuses all
            case.call_and_validate(timeout=20, excluded_checks=[positive_data_acceptance])

        if mode.is_positive or operation.body:
            answers()
