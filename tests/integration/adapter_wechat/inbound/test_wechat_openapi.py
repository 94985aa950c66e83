"""adapter-wechat answers as its OpenAPI declares, whatever is sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.processes import ServiceProcess


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_webhook_answers_as_its_document_declares(adapter: ServiceProcess, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{adapter.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 5
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answers(case: Any) -> None:
            # no generated signature is right, so well-formed requests are refused as well
            case.call_and_validate(timeout=30, excluded_checks=[positive_data_acceptance])

        if mode.is_positive or operation.body or operation.query:
            answers()
