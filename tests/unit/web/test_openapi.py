"""OpenAPI: the operations that handlers declare make routes and document, and the document tells the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.interaction import ExtensionPayload, Progress, ProviderExtension
from uniassist.errors import (
    IdempotencyInFlight,
    InvalidProviderToken,
    InvalidRequest,
    InvalidSignature,
    SessionNotFound,
    Unavailable,
)
from uniassist.web.openapi import build_openapi
from uniassist.web.operations import (
    Content,
    Credentials,
    Handler,
    Operation,
    Parameter,
    Served,
    bearer_scheme,
    header_scheme,
)

from .conftest import SampleProcess


async def first(_request: Request) -> Response:
    return Response()


async def second(_request: Request) -> Response:
    return Response()


def post(**changed: Any) -> Served:
    given: dict[str, Any] = {"request": ProviderExtension, "response": ProviderExtension} | changed
    return Served(Operation("POST", "/v0/first", "First", **given), first)


def get(path: str, handler: Handler, **changed: Any) -> Served:
    given: dict[str, Any] = {"response": dict} | changed
    return Served(Operation("GET", path, "Read", **given), handler)


def document(*operations: Served) -> dict[str, Any]:
    return build_openapi(service="gateway", version="1", operations=operations)


def test_what_can_be_refused_is_declared_by_itself() -> None:
    responses = document(post())["paths"]["/v0/first"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "503"}
    plain = get("/v0/second", second)
    assert set(document(plain)["paths"]["/v0/second"]["get"]["responses"]) == {"200"}


class InvalidThing(InvalidRequest):
    code = "INVALID_THING"


def test_an_operations_own_kind_of_bad_request_takes_the_place_of_the_general_one() -> None:
    made = document(post(problems=(InvalidThing,)))
    assert made["paths"]["/v0/first"]["post"]["responses"]["400"] == {"$ref": "#/components/responses/InvalidThing"}
    assert "INVALID_THING" in made["components"]["responses"]["InvalidThing"]["description"]


def test_two_errors_of_one_status_share_its_response() -> None:
    made = document(post(problems=(InvalidSignature, InvalidProviderToken, IdempotencyInFlight, Unavailable)))
    responses = json.loads(json.dumps(made["paths"]["/v0/first"]["post"]["responses"]))
    assert "INVALID_SIGNATURE" in responses["401"]["description"]
    assert "INVALID_PROVIDER_TOKEN" in responses["401"]["description"]
    assert responses["409"] == {"$ref": "#/components/responses/IdempotencyInFlight"}
    assert "Retry-After" in json.dumps(made["components"]["responses"]["Unavailable"])


def test_every_reference_leads_somewhere() -> None:
    made = document(post(problems=(InvalidRequest, SessionNotFound)))
    text = json.dumps(made)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        found: Any = made
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_the_contracts_own_conditions_are_in_it() -> None:
    assert "allOf" in document(post())["components"]["schemas"]["ProviderExtension"]


def test_two_handlers_of_one_name_are_refused() -> None:
    with pytest.raises(AssertionError, match="share a name"):
        document(post(), get("/v0/other", first))


def test_a_path_parameter_is_always_required_and_a_stream_has_its_type() -> None:
    made = get("/v0/{id}", first, response=Content("text/event-stream"), parameters=(Parameter("id", "path"),))
    described = json.loads(json.dumps(document(made)["paths"]["/v0/{id}"]["get"]))
    assert described["parameters"][0]["required"] is True
    assert list(described["responses"]["200"]["content"]) == ["text/event-stream"]


def test_whoever_may_call_is_declared_with_the_header_to_show_and_the_refusal() -> None:
    token = bearer_scheme("token", "A token.")
    signature = (
        header_scheme("signature", "x-signature", "Of the body."),
        header_scheme("nonce", "x-nonce", "One."),
    )
    made = document(post(security=Credentials(((token,), signature, ()), (InvalidSignature,))))
    operation = json.loads(json.dumps(made["paths"]["/v0/first"]["post"]))
    assert operation["security"] == [{"token": []}, {"signature": [], "nonce": []}, {}]
    assert set(operation["responses"]) == {"200", "400", "401", "413", "503"}
    schemes = made["components"]["securitySchemes"]
    assert (schemes["token"]["type"], schemes["token"]["scheme"]) == ("http", "bearer")
    assert (schemes["nonce"]["type"], schemes["nonce"]["in"], schemes["nonce"]["name"]) == (
        "apiKey",
        "header",
        "x-nonce",
    )


def test_examples_are_shown_with_what_they_are_of() -> None:
    extension = ProviderExtension(
        extension_kind="data_collection_progress",
        payload=ExtensionPayload(progress=Progress(step=1, total=2)),
    )
    cursor = Parameter("cursor", "query", example=7)
    made = document(post(request_example=extension, response_example=extension, parameters=(cursor,)))
    operation = json.loads(json.dumps(made["paths"]["/v0/first"]["post"]))
    shown = {
        "type": "provider_extension",
        "extensionKind": "data_collection_progress",
        "payload": {"progress": {"step": 1, "total": 2}},
    }
    assert operation["requestBody"]["content"]["application/json"]["example"] == shown
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == shown
    assert operation["parameters"][0]["example"] == 7


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_sample_answers_as_it_declares(sample: SampleProcess, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{sample.url}/openapi.json").exclude(path_regex="stream|busy|slow")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 6
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answers(case: Any) -> None:
            # to JSON Schema 1.0 is an integer and U+0000 a character; the contract refuses both
            case.call_and_validate(timeout=10, excluded_checks=[positive_data_acceptance])

        if mode.is_positive or operation.body or operation.query:
            answers()
