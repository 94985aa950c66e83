"""The `plan` specialist's handlers: each hands its whole request to what decides, and gives back what that says."""

from __future__ import annotations

from uniassist import VERSION
from uniassist.contracts.provider import InteractRequest, InteractResponse, InvokeRequest, InvokeResponse
from uniassist.provider import Call, Provider
from uniassist.provider_plan import answers

plan = Provider(
    answers.PROVIDER_ID,
    name="Plan",
    version=VERSION,
    description="Collects what a plan needs (goal, due date, constraints) and confirms it.",
    events=("ack", "assistant_message", "provider_extension"),
    streaming=False,
    answers_within_ms=3000,
)


@plan.invoke
def invoke(call: Call) -> InvokeResponse:
    assert isinstance(call.request, InvokeRequest)
    return answers.invoke(call.request)


@plan.interact
def interact(call: Call) -> InteractResponse:
    assert isinstance(call.request, InteractRequest)
    return answers.interact(call.request)
