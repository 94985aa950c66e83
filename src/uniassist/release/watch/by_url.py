"""The gate's equivalents of a system that runs: conformance, smoke and verify, by URL, as one round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uniassist.release.checks import verify
from uniassist.release.checks.conformance.conformance import check_all
from uniassist.release.checks.conformance.targets import Targets
from uniassist.release.checks.smoke import smoke_in_use
from uniassist.release.checks.system import System
from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.report.checklist import Checklist, Skipped, line_of
from uniassist.release.report.steps import Steps, lines_of
from uniassist.release.watch.triggers.samples import Round
from uniassist.web.calling.client import JsonClient

_SHOWN = 2


@dataclass(frozen=True)
class Checks:
    """What a round needs.

    targets: of conformance; without the gateway when app authentication is on, since it speaks for no user.
    subject: of verify.
    smoke: None: it is skipped, and `no_smoke` says why.
    """

    targets: Targets
    subject: VerifySubject
    smoke: System | None
    no_smoke: str


@dataclass
class _Part:
    """`failed`: what was wrong, each with its name; `lines` the same at length."""

    name: str
    said: str = "ok"
    failed: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


async def run_round(checks: Checks, deadline_seconds: float) -> Round:
    """All three, also after one has failed: together they say what is wrong. Never raises for what it finds."""
    now = asyncio.get_running_loop().time
    began = now()
    end = began + deadline_seconds
    parts = [
        await _within(part, run(checks), end - now())
        for part, run in (("conformance", _conformance), ("smoke", _smoke), ("verify", _verify))
    ]
    failed = [f"{part.name}: {_shown(part.failed)}" for part in parts if part.failed]
    lines = tuple(f"{part.name}: {line}" for part in parts for line in part.lines)
    if failed:
        return Round(began, now(), "failed", " | ".join(failed), lines)
    said = ", ".join(f"{part.name} {part.said}" for part in parts)
    is_blind = all(part.said.startswith("skipped") for part in parts)
    return Round(began, now(), "unknown" if is_blind else "ok", said)


def _shown(failed: tuple[str, ...]) -> str:
    """The first ones; all of them are among the round's lines."""
    more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return "; ".join(failed[:_SHOWN]) + more


async def _within(name: str, work: Awaitable[_Part], seconds: float) -> _Part:
    try:
        async with asyncio.timeout(max(0.1, seconds)):
            return await work
    except Skipped as reason:
        return _Part(name, f"skipped ({reason})")
    except TimeoutError:
        return _Part(name, failed=("not done in the round's time",))
    except Exception as error:  # a check that breaks is a check that failed
        return _Part(name, failed=(repr(error),))


async def _conformance(checks: Checks) -> _Part:
    return await _listed("conformance", lambda checklist: check_all(checklist, checks.targets))


async def _smoke(checks: Checks) -> _Part:
    system = checks.smoke
    if system is None:
        raise Skipped(checks.no_smoke)
    return await _listed("smoke", lambda checklist: smoke_in_use(checklist, system))


async def _listed(name: str, work: Callable[[Checklist], Awaitable[None]]) -> _Part:
    checklist = Checklist(name, lambda _line: None)
    await work(checklist)
    failed = checklist.failed
    return _Part(
        name,
        failed=tuple(f"{outcome.name}: {outcome.detail}" for outcome in failed),
        lines=tuple(line_of(outcome) for outcome in failed),
    )


async def _verify(checks: Checks) -> _Part:
    steps = Steps(verify.steps_of(checks.subject), lambda _line: None)
    async with JsonClient() as client:
        await verify.Verification(checks.subject, steps, client).run()
    return _Part(
        "verify",
        failed=tuple(f"{step.name}: {step.detail}" for step in steps.failed),
        lines=tuple(line for step in steps.failed for line in lines_of(step, steps.total)),
    )
