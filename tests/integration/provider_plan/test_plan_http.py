"""provider-plan as a process: the contract's provider side over HTTP, and its OpenAPI held to its word."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.processes import ServiceProcess
from tests.unit.provider_plan.plan_requests import interact_body, invoke_body

from uniassist.contracts import bounds, codec
from uniassist.contracts.provider import InteractResponse, InvokeResponse, ProviderManifest
from uniassist.errors import StartError
from uniassist.provider.routes import SpecialistRoutes
from uniassist.settings.variables import PLAN_TOKEN
from uniassist.web.calling.client import Answer, JsonClient
from uniassist.web.operations import Operation, declared


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


async def post(
    client: JsonClient, plan: ServiceProcess, path: str, body: object, headers: dict[str, str] | None = None
) -> Answer:
    raw = body if isinstance(body, bytes) else codec.encode(body)
    return await client.request("POST", f"{plan.url}{path}", body=raw, timeout_seconds=20, headers=headers)


def answered_invokes(plan: ServiceProcess) -> float:
    counter = 'uniassist_provider_plan_calls_total{call="invoke",outcome="answered"} '
    return sum(
        float(line.removeprefix(counter)) for line in plan.scraped().splitlines() if line.startswith(counter)
    )


def problem(answer: Answer) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    return codec.decode(answer.body, dict[str, Any])


@pytest.mark.parametrize("operation", declared(SpecialistRoutes), ids=lambda operation: operation.path)
async def test_a_worked_example_is_answered_in_the_declared_shape(
    plan: ServiceProcess, client: JsonClient, operation: Operation
) -> None:
    raw = codec.encode(operation.request_example) if operation.request is not None else None
    answer = await client.request(operation.method, f"{plan.url}{operation.path}", body=raw, timeout_seconds=20)
    assert answer.status == 200, answer.body
    assert isinstance(operation.response, type)
    codec.decode(answer.body, operation.response)


async def test_the_flow_of_a_plan(plan: ServiceProcess, client: JsonClient) -> None:
    before = answered_invokes(plan)
    invoked = await post(client, plan, "/v0/invoke", invoke_body())
    assert invoked.status == 200
    answer = codec.decode(invoked.body, InvokeResponse)
    assert (answer.run_id, answer.provider_id) == ("run-1", "plan")
    submitted = await post(client, plan, "/v0/interact", interact_body({"values": {"goal": "学会游泳"}}))
    assert submitted.status == 200
    assert codec.decode(submitted.body, InteractResponse).run_id == "run-1"
    assert "学会游泳" in submitted.body.decode()
    assert answered_invokes(plan) == before + 1


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
    for _ in range(bounds.MAX_NESTING - 2):
        deep = [deep]
    large = "x" * bounds.MAX_BODY_BYTES
    for path, body in (
        ("/v0/invoke", invoke_body(input={"raw": {"deep": deep}})),
        ("/v0/invoke", invoke_body(input={"raw": {"large": large}})),
        ("/v0/interact", interact_body({"deep": deep})),
        ("/v0/interact", interact_body({"large": large})),
    ):
        assert (await post(client, plan, path, body)).status == 200
    assert (await post(client, plan, "/v0/invoke", invoke_body(input={"raw": {"deep": [deep]}}))).status == 400


@pytest.mark.parametrize("env", ["test", "staging", "prod"])
async def test_with_a_token_it_answers_the_gateway_only_and_outside_dev_there_is_one(
    client: JsonClient, tmp_path: Path, database_url: str, env: str
) -> None:
    token = "plan-token-of-the-tests-0123456789"
    whole = {"UNIASSIST_ENV": env, PLAN_TOKEN: token, "DATABASE_URL": database_url}
    guarded = ServiceProcess("provider-plan", tmp_path / "log", whole)
    for variable in (PLAN_TOKEN, "DATABASE_URL") if env != "test" else ():
        without = {name: value for name, value in whole.items() if name != variable}
        unset = ServiceProcess("provider-plan", tmp_path / f"without-{variable}", without)
        with pytest.raises(StartError, match=f"{variable}: required, but not set"):
            unset.start()
    guarded.start()
    try:
        for path, body in (("/v0/invoke", invoke_body()), ("/v0/interact", interact_body({"values": {}}))):
            for shown in ({}, {"authorization": "Bearer another"}, {"authorization": token}):
                answer = await post(client, guarded, path, body, shown)
                assert (answer.status, problem(answer)["code"]) == (401, "INVALID_PROVIDER_TOKEN")
            assert (await post(client, guarded, path, body, {"authorization": f"Bearer {token}"})).status == 200
        for path in ("/health", "/.well-known/uniassist/manifest.json"):
            assert (await client.request("GET", f"{guarded.url}{path}", timeout_seconds=20)).status == 200
    finally:
        guarded.stop()


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
    assert len(operations) == 7
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answers(case: Any) -> None:
            # to JSON Schema 1.0 is an integer, U+0000 a character and "work" a providerId; the contract refuses all
            case.call_and_validate(timeout=20, excluded_checks=[positive_data_acceptance])

        if mode.is_positive or operation.body:
            answers()
