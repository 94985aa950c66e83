"""A user who writes too often: told when to come back, on every call that writes, at nobody else's expense."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.integration.gateway.client import GatewayClient, Json, interaction, message, refused, signed, unique

from uniassist.contracts import codec
from uniassist.web.calling.client import Answer

WRITES = 12


@pytest.fixture
def limited(start_gateway: Callable[..., GatewayClient]) -> GatewayClient:
    """Two inputs a second of one user, four at once."""
    return start_gateway(GATEWAY_RATE_LIMIT_PER_USER="2")


def first_refusal(answers: list[Answer]) -> Answer:
    late = next(answer for answer in answers if answer.status == 429)
    refused(late, 429, "RATE_LIMITED", "userId")
    assert int(late.headers["retry-after"]) >= 1
    return late


async def test_inputs_beyond_the_rate_are_refused_and_not_written(limited: GatewayClient) -> None:
    sent = [message(userId="busy") for _ in range(WRITES)]
    answers = [await limited.post("/v0/ingest", each) for each in sent]
    first_refusal(answers)
    assert (await limited.post("/v0/ingest", message(userId="calm"))).status == 200
    for each, answer in zip(sent, answers, strict=True):
        assert len(await limited.timeline(each["sessionId"])) == (4 if answer.status == 200 else 0)


async def test_interactions_beyond_the_rate_are_refused_and_not_written(limited: GatewayClient) -> None:
    sent = message(userId="busy")
    await limited.ingest(sent)
    before = len(await limited.timeline(sent["sessionId"]))
    asked = [interaction(sent["sessionId"], "switch_provider:work", userId="busy") for _ in range(WRITES)]
    answers = [await limited.post("/v0/interact", each) for each in asked]
    first_refusal(answers)
    accepted = sum(answer.status == 200 for answer in answers)
    assert len(await limited.timeline(sent["sessionId"])) == before + 2 * accepted


async def test_cancellations_beyond_the_rate_are_refused(limited: GatewayClient) -> None:
    asked = {name: value for name, value in message(userId="busy").items() if name not in ("source", "text")}
    answers = [await limited.post("/v0/runs/run-none/cancel", asked) for _ in range(WRITES)]
    first_refusal(answers)
    assert {answer.status for answer in answers} == {404, 429}


async def test_what_others_say_in_a_channels_users_name_costs_that_user_nothing(limited: GatewayClient) -> None:
    def of_user(source: str) -> Json:
        return message(userId=user, source=source)

    user = unique("busy")
    first_refusal([await limited.post("/v0/ingest", of_user("app")) for _ in range(WRITES)])
    theirs = of_user("api")
    answer = await limited.post("/v0/ingest", theirs, signed(codec.encode(theirs)))
    assert answer.status == 200, answer.body
