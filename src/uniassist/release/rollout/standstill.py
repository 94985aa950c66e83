"""All services stopped, or started again as they were released last: for maintenance, and after a reboot.

They stop in the reverse of the rollout's order, so that nobody is called who is gone already, and start in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uniassist import VERSION
from uniassist.release.clock import now
from uniassist.release.drivers.driver import DriverFailed, Observed
from uniassist.release.env.services import place_of
from uniassist.release.exit_codes import ExitCode, UsageRefused
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.recording import keep
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.steps import Advice, Steps, Wording
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.site import Site
from uniassist.release.walk.walk import POLL_SECONDS, VERB_SECONDS

_SECTION = "Rollout order"


def stop_all(site: Site, confirm: Callable[[str], None]) -> ExitCode:
    """0 once nothing of it runs, else 12: it goes on after a failure, and says what still runs.

    confirm: gets the question; raises Refused unless it is confirmed. Refused with 30 or 31 beside another's work.
    """

    async def stop(service: str) -> str:
        try:
            await site.driver.stop(service)
        except DriverFailed as error:
            raise CheckFailed(str(error)) from None
        site.home.change(lambda known: known.stopped(service))
        return ""

    return _all(site, "stop", reversed(site.services), stop, confirm)


def start_all(site: Site, confirm: Callable[[str], None]) -> ExitCode:
    """0 once all are healthy as what was released last, else 12. Refused with 2 where nothing was, or as above."""
    release = site.home.kept.find(site.home.deployed().current or "nothing")
    if release is None:
        raise UsageRefused("nothing was rolled out here: there is nothing to start")

    async def start(service: str) -> str:
        try:
            await site.driver.deploy(service, release)
        except DriverFailed as error:
            raise CheckFailed(str(error)) from None
        site.home.change(lambda known: known.given(service, release.id))
        return await _until_up(site, service, release)

    return _all(site, "start", site.services_of(release), start, confirm)


def _all(
    site: Site,
    verb: str,
    services: Any,
    work: Callable[[str], Awaitable[str]],
    confirm: Callable[[str], None],
) -> ExitCode:
    started_at, steps = now(), Steps(len(site.services), site.reporter.say, site.reporter.began)
    with site.alone(f"{verb} of all services"):
        unfinished.refuse_rollout(site.home)
        site.reporter.began("looking at what runs…")
        seen = asyncio.run(observation.observe_all(site.driver, site.services))
        for line in observation.lines(seen):
            site.reporter.say(f"  {line}")
        confirm(f"{verb.capitalize()} all services of {site.environment.name}?")
        site.conduct(_walk(site, verb, list(services), work, steps))
    code = ExitCode.DONE if steps.ok else ExitCode.ROLLOUT
    document = {
        "command": f"release {verb}",
        "environment": site.environment.name,
        "result": "done" if steps.ok else "failed",
        "exitCode": int(code),
        "startedAt": started_at,
        "endedAt": now(),
        "steps": steps.document(),
        "toolVersion": VERSION,
    }
    keep(site.reporter, site.records, document, None)
    return code


async def _walk(
    site: Site, verb: str, services: list[str], work: Callable[[str], Awaitable[str]], steps: Steps
) -> None:
    for service in services:
        await steps.run(
            f"{verb} {service}",
            partial(work, service),
            runbook=f"{_SECTION} {place_of(service)}",
            deadline_seconds=VERB_SECONDS + site.healthy_seconds,
            advice=Advice("uniassist release status", f"mend it, and repeat: uniassist release {verb}"),
            wording=Wording("stopped" if verb == "stop" else "healthy"),
        )


async def _until_up(site: Site, service: str, release: Release) -> str:
    """One that only lacks a service that comes later is as healthy as it can be."""
    end = asyncio.get_running_loop().time() + site.healthy_seconds
    while True:  # ends: up, or at the deadline
        seen: Observed = await site.driver.observe(service)
        if observation.is_up(seen, release):
            return ""
        if lacking := observation.waits_for(seen, release):
            return f"but for {', '.join(lacking)}, which comes later"
        if asyncio.get_running_loop().time() > end:
            raise CheckFailed(
                f"not healthy as {release.tag} within {site.healthy_seconds:g} s: {observation.said(seen)}"
            )
        await asyncio.sleep(POLL_SECONDS)
