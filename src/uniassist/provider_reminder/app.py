"""provider-reminder, wired: the one place of this service that reads settings."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import AsyncExitStack

from uniassist import VERSION
from uniassist.lifecycle import Proof
from uniassist.provider import Gateway, Provider
from uniassist.provider.app import serve
from uniassist.provider_reminder.answering import Answering
from uniassist.provider_reminder.delivering import PROVIDER_ID, Deliveries
from uniassist.settings import ProviderReminderSettings
from uniassist.store.server import proof
from uniassist.store.server.pool import Pool, create_pool
from uniassist.web import server
from uniassist.web.calling.client import JsonClient
from uniassist.web.processes.place import Place

_STOP_SECONDS = 6.0


def main() -> None:
    server.run_processes("provider-reminder", ProviderReminderSettings.from_env, run)


async def run(settings: ProviderReminderSettings, place: Place) -> None:
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        pool = await create_pool(
            settings.database_url.reveal(),
            application_name="uniassist-provider-reminder",
            max_size=place.share(20, least=6),
        )
        stack.push_async_callback(asyncio.wait_for, pool.close(), 5.0)
        client = await stack.enter_async_context(JsonClient())
        gateway = Gateway(
            client, settings.gateway_url, provider_id=PROVIDER_ID, token=settings.access_token.reveal()
        )
        deliveries = Deliveries(pool, gateway, owner=owner, days=settings.reminder_days)
        deliveries.loop.start()
        deliveries.forgetting.start()
        token = settings.token.reveal() if settings.token is not None else None
        try:
            await serve(reminder(pool, deliveries), settings.service, token=token, gateway=gateway, place=place)
        finally:
            await deliveries.forgetting.stop(1.0)
            await deliveries.loop.stop(_STOP_SECONDS)


def reminder(pool: Pool, deliveries: Deliveries) -> Provider:
    """The provider with its handlers, and what its health looks at."""
    provider = Provider(
        PROVIDER_ID,
        name="Reminders",
        version=VERSION,
        description="Reminds at a moment or again and again; lists, changes, cancels and snoozes reminders.",
        events=("ack", "assistant_message"),
        streaming=False,
        answers_within_ms=7000,
    )
    answering = Answering(pool)
    provider.invoke(answering.answer)
    provider.erase(answering.erase)
    provider.check("postgres")(Proof(lambda: proof.prove_writing(pool, "reminders")))
    provider.check("deliveries")(deliveries.check)
    return provider
