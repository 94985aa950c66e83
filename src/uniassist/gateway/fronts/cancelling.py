"""A client of a front cancels a request: what is under way of it, by the timeline and the calls that are owed."""

from __future__ import annotations

from starlette.requests import Request

from uniassist.contracts.inputs import RunCancellation
from uniassist.errors import InvalidRequest
from uniassist.gateway.callers import Writer
from uniassist.gateway.fronts.traced import UNDER_WAY, Traced
from uniassist.gateway.intake import Intake
from uniassist.store import fronts as store
from uniassist.store.server.pool import Pool


async def cancel_under_way(
    pool: Pool, intake: Intake, request: Request, writer: Writer, asked: RunCancellation, traced: Traced
) -> list[str]:
    """The runs that were cancelled: those that hadn't ended, and those that owed an answer to an interaction."""
    under_way = [run_id for run_id, status in traced.runs.items() if status in UNDER_WAY]
    for run_id in sorted(traced.interactions - set(under_way)):
        if await store.owes_calls(pool, run_id):
            under_way.append(run_id)
    cancelled = list[str]()
    for run_id in under_way:
        try:
            await intake.cancel(request, writer, asked, run_id)
        except InvalidRequest:
            continue  # it has ended meanwhile
        cancelled.append(run_id)
    return cancelled
