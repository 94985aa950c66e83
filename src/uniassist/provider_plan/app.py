"""provider-plan, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import structlog

from uniassist.lifecycle import Loop, Proof
from uniassist.provider import Gateway, Provider
from uniassist.provider.app import serve
from uniassist.provider_plan import answers, routes
from uniassist.provider_plan.calendar_routes import CalendarRoutes
from uniassist.provider_plan.due import DueSteps
from uniassist.provider_plan.keeper import Keeper
from uniassist.provider_plan.model import Suggester
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.tidying import Tidying
from uniassist.provider_plan.writing import KeepingRules
from uniassist.settings import ProviderPlanSettings
from uniassist.store import plans as store
from uniassist.store.server import proof
from uniassist.store.server.pool import Pool
from uniassist.web import server
from uniassist.web.calling.client import JsonClient
from uniassist.web.processes.place import Place

log = structlog.get_logger()


def main() -> None:
    server.run_processes("provider-plan", ProviderPlanSettings.from_env, run)


async def run(read: ProviderPlanSettings, place: Place) -> None:
    kinds()  # the first person doesn't wait for the files
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(JsonClient())
        suggester = None
        if (model := read.model) is not None:
            key = model.key.reveal() if model.key is not None else None
            suggester = Suggester(client, model.url, model.model, key)
        if read.database_url is None:
            plan, others = routes.specialist(None, suggester), list[object]()
        else:
            pool = await store.create_pool(read.database_url.reveal())
            stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
            plan, others = _keeping(read, pool, suggester)
            for loop in _loops(read, pool, client):
                loop.start()
                stack.push_async_callback(loop.stop, 2.0)
        token = read.token.reveal() if read.token is not None else None
        await serve(plan, read.service, token=token, gateway=None, others=others, place=place)


def _keeping(read: ProviderPlanSettings, pool: Pool, suggester: Suggester | None) -> tuple[Provider, list[object]]:
    rules = KeepingRules(public_url=read.public_url, link_hours=read.link_hours, due_hour=read.due_hour)
    plan = routes.with_erasure(routes.specialist(Keeper(pool, rules), suggester), pool)
    plan.check("postgres")(Proof(partial(proof.prove_writing, pool, "plans")))
    return plan, [CalendarRoutes(pool, due_hour=read.due_hour)]


def _loops(read: ProviderPlanSettings, pool: Pool, client: JsonClient) -> list[Loop]:
    """Without a token for the gateway nobody is told of steps that are due."""
    loops = [Tidying(pool, days=read.plan_days).loop]
    if read.access_token is not None:
        gateway = Gateway(
            client, read.gateway_url, provider_id=answers.PROVIDER_ID, token=read.access_token.reveal()
        )
        loops.append(DueSteps(pool, gateway, hour=read.due_hour).loop)
    return loops
