"""A drill from its prerequisites to the last row taken away; what happened is kept also when it is interrupted."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.errors import ServerFault, StartError
from uniassist.release import interrupts
from uniassist.release.checks import throwaway_system
from uniassist.release.checks.database_identity import database_of
from uniassist.release.checks.stream_entries import clock_ms
from uniassist.release.clock import now, seconds_since
from uniassist.release.drill import prerequisites, report
from uniassist.release.drill.cleanup import Cleaned, clean_up
from uniassist.release.drill.drill import Drill, new_name
from uniassist.release.drill.target import DrillTarget, live_target
from uniassist.release.env.environment import Environment
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import Interrupted, to_the_end
from uniassist.release.records.home import Home
from uniassist.release.records.order import next_number
from uniassist.release.records.records import DEFAULT_DIRECTORY
from uniassist.release.report.place import place
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.report.steps import Steps, wrapped
from uniassist.release.revision import git
from uniassist.release.walk.deployed_subject import known_urls, running
from uniassist.settings import Reader
from uniassist.store.server import pool
from uniassist.streams.client import connect

STEPS = 4


@dataclass
class ConductedDrill:
    """One drill. `cleaned` None: nothing was injected."""

    mode: str
    steps: Steps
    started_at: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    interrupted: bool = False
    target: DrillTarget | None = None
    drill: Drill | None = None
    cleaned: Cleaned | None = None

    @property
    def result(self) -> str:
        if self.interrupted:
            return "interrupted"
        if not self.steps.ok or (self.cleaned is not None and self.cleaned.left):
            return "failed"
        return "inconclusive: a step was skipped" if self.steps.skipped else "passed"

    @property
    def exit_code(self) -> ExitCode:
        codes = {"passed": ExitCode.DONE, "failed": ExitCode.DRILL, "interrupted": ExitCode.INTERRUPTED}
        return codes.get(self.result, ExitCode.INCONCLUSIVE)


async def conduct(target: DrillTarget, conducted: ConductedDrill) -> None:
    """Refused before anything is touched, when it would test nothing; else it cleans up, whatever comes."""
    name = new_name()
    conducted.target = target = target.in_lane_of(name)
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(await pool.connect(target.database_url))
            redis = await stack.enter_async_context(connect(target.redis_url, lane=target.lane))
            begun_ms = await clock_ms(redis)
        except ServerFault as fault:
            raise Refused(ExitCode.PREFLIGHT, f"{fault.variable}: can't connect: {fault}") from None
        await prerequisites.check(target, connection, redis)
        conducted.drill = Drill(target, connection, redis, name)
        try:
            await conducted.drill.run(conducted.steps)
        finally:
            conducted.cleaned = await to_the_end(clean_up, conducted.drill, begun_ms)


async def simulate(conducted: ConductedDrill, reader: Reader) -> None:
    """The same drill on a system of its own."""
    async with throwaway_system.system() as system:
        await conduct(DrillTarget.of("simulate", system, reader), conducted)


def document(conducted: ConductedDrill) -> dict[str, Any]:
    """What the report says, for scripts; made as it ends. Not masked yet."""
    target, drill, cleaned = conducted.target, conducted.drill, conducted.cleaned
    found: dict[str, Any] = {
        "mode": conducted.mode,
        "result": conducted.result,
        "exitCode": int(conducted.exit_code),
        "startedAt": conducted.started_at,
        "endedAt": now(),
        "seconds": seconds_since(conducted.began),
        "run": drill.name if drill else None,
        "steps": conducted.steps.document(),
        "interruptedDuring": conducted.steps.under_way,
        "commandOutput": drill.outputs if drill else [],
        "cleanUp": cleaned.sentence() if cleaned else "nothing was injected",
    }
    if target is not None:
        found |= {
            "databaseUrl": target.database_url,
            "redisUrl": target.redis_url,
            "streamPrefix": target.prefix,
            "globalKey": target.global_key,
            "group": target.group,
        }
    return found


def run_drill(environment: Environment, mode: str, here: Path, reporter: ReleaseReporter) -> dict[str, Any]:
    """Drill, and write the report. The document has the exit code: 0, 40, 41 or 130.

    mode: simulate or live.
    here: where git may be.

    SettingsError before anything is touched when the report can't be written. Refused with 2, 10 or 30 when it
    would test nothing, with 41 when the throwaway system doesn't start.
    """
    path = Path(environment.reader().text("WORKER_DRILL_OUTPUT_PATH"))
    target = live_target(environment) if mode == "live" else None
    report.check_writable(path)
    conducted = ConductedDrill(mode, Steps(STEPS, reporter.say, reporter.began))
    _conduct(conducted, target, environment.reader(), reporter)
    reporter.began("noting what was drilled…")
    where = asyncio.run(_standing(environment, target)) if target is not None else {}
    revision = environment.values.get("UNIASSIST_REVISION") or git.describe(here)
    found: dict[str, Any] = environment.masker.mask_document(
        document(conducted) | where | {"toolVersion": VERSION, "toolRevision": revision, "report": str(path)}
    )
    kept = report.write(path, found)
    for line in ("cleaning up:", *wrapped(found["cleanUp"])):
        reporter.say(line)
    idempotent = conducted.drill is not None and conducted.drill.repeated
    reporter.say(f"drill {conducted.result}" + ("; the same token again: updated=0" if idempotent else ""))
    reporter.say(f"report: {place(path)}")
    reporter.say(f"  kept as {kept.name}")
    return found


async def _standing(environment: Environment, target: DrillTarget) -> dict[str, Any]:
    """Which database was drilled, which revisions ran, and the drill's place among the records."""
    home = Home(DEFAULT_DIRECTORY, environment.name)
    urls = known_urls(environment, home)
    try:
        order: int | None = next_number(home.directory)
    except StartError:
        order = None
    return {"database": await database_of(target.database_url), "running": await running(urls), "order": order}


def rehearse(environment: Environment, mode: str, reporter: ReleaseReporter) -> None:
    """What would be done to what. UsageRefused as the drill would."""
    if mode == "simulate":
        reporter.say("would start a system of its own, drill it in four steps, and remove it")
        return
    target = live_target(environment)
    reporter.say(f"would drill the worker of {target.database_url}")
    reporter.say(f"  and {target.redis_url}, stream {target.global_key}, group {target.group}:")
    reporter.say("[1/4] inject a failed event, expect consumed")
    destroys = (
        "destroy the consumer group, expect all consumed" if target.destroys_group else "skipped: destroy group"
    )
    reporter.say(f"[2/4] {destroys}")
    reporter.say("[3/4] inject a dead letter, replay it, expect consumed")
    reporter.say("[4/4] replay with the same token, expect updated=0")
    reporter.say("  and then take all of its own rows, entries and keys away")


def _conduct(
    conducted: ConductedDrill, target: DrillTarget | None, reader: Reader, reporter: ReleaseReporter
) -> None:
    reporter.say(f"worker reliability drill, mode {conducted.mode}")
    reporter.began("starting a throwaway system…" if target is None else "looking at the worker and its group…")
    work = simulate(conducted, reader) if target is None else conduct(target, conducted)
    try:
        interrupts.run(work, reporter.say)
    except Interrupted:
        conducted.interrupted = True
    except StartError as error:
        raise Refused(ExitCode.INCONCLUSIVE, str(error)) from None
