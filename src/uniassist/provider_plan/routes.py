"""The `plan` specialist: each handler hands its whole request to what decides, and gives back what that says."""

from __future__ import annotations

import datetime as dt

from uniassist import VERSION
from uniassist.contracts.provider import (
    ErasureRequest,
    InteractRequest,
    InteractResponse,
    InvokeRequest,
    InvokeResponse,
)
from uniassist.provider import Call, Provider
from uniassist.provider_plan import answers
from uniassist.provider_plan.keeper import Keeper
from uniassist.provider_plan.model import Suggester
from uniassist.provider_plan.planner.ideas import Ideas
from uniassist.provider_plan.shelf import Shelf
from uniassist.store import plans as store
from uniassist.store.server.pool import Pool

_ANSWERS_MS = 3000
_ANSWERS_WITH_MODEL_MS = 7000  # the gateway waits for 8 seconds


def specialist(keeper: Keeper | None = None, suggester: Suggester | None = None) -> Provider:
    """`keeper` None: plans travel in the conversation. `suggester` None: steps are the usual ones."""
    plan = Provider(
        answers.PROVIDER_ID,
        name="Plan",
        version=VERSION,
        description="Makes a dated plan of a goal (phases, steps, days kept free), changes it as the person says, "
        + (
            "keeps it, lists and exports it as a calendar, and tells of steps that are due."
            if keeper is not None
            else "and shows what is next, for as long as it is talked about."
        ),
        events=("ack", "assistant_message", "nav", "provider_extension"),
        streaming=False,
        answers_within_ms=_ANSWERS_MS if suggester is None else _ANSWERS_WITH_MODEL_MS,
    )

    @plan.invoke
    async def invoke(call: Call) -> InvokeResponse:
        request = call.request
        assert isinstance(request, InvokeRequest)
        return await keeper.invoke(request) if keeper is not None else answers.invoke(request)

    @plan.interact
    async def interact(call: Call) -> InteractResponse:
        request = call.request
        assert isinstance(request, InteractRequest)
        ideas = await _ideas(request) if suggester is not None else None
        return (
            await keeper.interact(request, ideas) if keeper is not None else answers.interact(request, None, ideas)
        )

    async def _ideas(request: InteractRequest) -> Ideas | None:
        """What a model suggests for the form that is submitted: asked for before anything is locked."""
        if suggester is None or not request.interaction.action_id.startswith(answers.SUBMIT):
            return None
        draft = await keeper.draft(request) if keeper is not None else None
        submission = answers.submitted(request, Shelf(draft=draft))
        return await suggester.ideas(submission.values, request) if not submission.problems else None

    return plan


def with_erasure(plan: Provider, pool: Pool) -> Provider:
    """What is kept of a person goes when the gateway says so."""

    @plan.erase
    async def erase(asked: ErasureRequest) -> None:
        until = dt.datetime.fromtimestamp(min(asked.timestamp_ms, _LAST_MS) / 1000, dt.UTC)
        await store.erase(pool, asked.user_id, until)

    return plan


_LAST_MS = 253_402_300_799_000  # the end of the year 9999
