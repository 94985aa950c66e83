"""provider-plan, wired: the one place of this service that reads settings."""

from __future__ import annotations

from uniassist.provider.app import serve
from uniassist.provider_plan.planner.kinds import kinds
from uniassist.provider_plan.routes import plan
from uniassist.settings import ProviderPlanSettings
from uniassist.web import server


def main() -> None:
    server.run(run)


async def run() -> None:
    read = ProviderPlanSettings.from_env()
    token = read.token.reveal() if read.token is not None else None
    kinds()  # the first person doesn't wait for the files
    await serve(plan, read.service, token=token, gateway=None)
