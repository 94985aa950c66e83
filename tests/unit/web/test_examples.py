"""Every operation of every service shows a worked example, and the contract's types take it."""

from __future__ import annotations

from typing import cast

import pytest

from uniassist.adapter_wechat.inbound.routes import WebhookRoutes
from uniassist.contracts import codec
from uniassist.contracts.provider import LateEvent, ProviderEventsRequest
from uniassist.gateway.client_routes import ClientRoutes
from uniassist.gateway.overview import Overview
from uniassist.gateway.provider_routes import ProviderRoutes
from uniassist.provider.routes import SpecialistRoutes
from uniassist.web.operations import Content, Operation, declared
from uniassist.web.service_routes import ServiceRoutes

CLASSES = (ClientRoutes, ProviderRoutes, Overview, SpecialistRoutes, WebhookRoutes, ServiceRoutes)
OPERATIONS = [
    pytest.param(operation, id=f"{routes.__name__}-{operation.method}-{operation.path}")
    for routes in CLASSES
    for operation in declared(routes)
]


def check(example: object, shape: type | Content) -> None:
    if isinstance(shape, Content):
        assert isinstance(example, str)
        assert example
    else:
        assert type(example) is shape
        codec.decode(codec.encode(example), shape)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operations_examples_are_of_its_shapes(operation: Operation) -> None:
    check(operation.response_example, operation.response)
    if operation.request is not None:
        check(operation.request_example, operation.request)
    else:
        assert operation.request_example is None


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_must_be_given_has_an_example(operation: Operation) -> None:
    needed = [each for each in operation.parameters if each.required or each.where == "path"]
    assert all(each.example is not None for each in needed), needed


def test_each_late_event_of_the_example_is_one() -> None:
    [operation] = [each for each in declared(ProviderRoutes) if each.path == "/v0/events"]
    example = operation.request_example
    assert isinstance(example, ProviderEventsRequest)
    for item in example.events:
        # a union is a shape to msgspec, and no type[…] to mypy
        assert codec.decode(codec.encode(item), cast("type[LateEvent]", LateEvent)) == item
