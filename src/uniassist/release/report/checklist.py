"""A list of checks, each run to its end within a deadline, said as a line, kept as evidence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from uniassist.errors import ServerFault, SettingsError, StartError, UniAssistError
from uniassist.release import interrupts
from uniassist.web.calling.client import CallFailed

CHECK_SECONDS = 15.0
POLL_SECONDS = 0.05


class CheckFailed(Exception):
    """What was expected and what came instead.

    `contract`: the line of the contract that says so; `received`: the answer that broke it. Empty: not told.
    """

    def __init__(self, detail: str, *, contract: str = "", received: str = "") -> None:
        super().__init__(detail)
        self.contract = contract
        self.received = received


class Skipped(Exception):
    """Why this check doesn't apply here; it isn't a failure, but it is said."""


@dataclass(frozen=True)
class CheckOutcome:
    name: str
    result: str  # ok | failed | skipped
    seconds: float
    detail: str = ""
    contract: str = ""
    received: str = ""


@dataclass
class Checklist:
    """`say` gets one line for each check as it ends."""

    title: str
    say: Callable[[str], None]
    outcomes: list[CheckOutcome] = field(default_factory=list)

    async def run(
        self, name: str, check: Callable[[], Awaitable[str | None]], *, deadline_seconds: float = CHECK_SECONDS
    ) -> bool:
        """Run one check; what it returns is its measurement. True unless it failed."""
        outcome = await attempt(name, check, deadline_seconds)
        self.outcomes.append(outcome)
        self.say(line_of(outcome))
        return outcome.result != "failed"

    @property
    def failed(self) -> list[CheckOutcome]:
        return [outcome for outcome in self.outcomes if outcome.result == "failed"]

    def summary(self) -> str:
        counts = {result: sum(o.result == result for o in self.outcomes) for result in ("ok", "failed", "skipped")}
        parts = [f"{counts['ok']} ok", f"{counts['failed']} failed"]
        if counts["skipped"]:
            parts.append(f"{counts['skipped']} skipped")
        return f"{self.title}: {', '.join(parts)}"

    def document(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "ok": not self.failed and bool(self.outcomes),
            "checks": [asdict(outcome) for outcome in self.outcomes],
        }


async def attempt(name: str, check: Callable[[], Awaitable[str | None]], deadline_seconds: float) -> CheckOutcome:
    """One check within its deadline. Whatever it raises is a failure of what it looks at."""
    began = time.monotonic()
    deadline = asyncio.timeout(deadline_seconds)
    contract = received = ""
    try:
        interrupts.check()
        async with deadline:
            detail = await check() or ""
            interrupts.check()
        result = "ok"
    except Skipped as reason:
        result, detail = "skipped", str(reason)
    except TimeoutError as error:
        late = f"not within {deadline_seconds:.0f} s"
        result, detail = "failed", late if deadline.expired() else str(error) or "a call timed out"
    except CheckFailed as failed:
        result, detail, contract, received = "failed", str(failed), failed.contract, failed.received
    except (CallFailed, ServerFault, SettingsError, StartError) as error:
        result, detail = "failed", str(error)
    except UniAssistError as error:
        result, detail = "failed", error.detail
    except Exception as error:  # a check that breaks is a check that failed
        result, detail = "failed", repr(error)
    return CheckOutcome(name, result, round(time.monotonic() - began, 3), detail, contract, received)


def line_of(outcome: CheckOutcome) -> str:
    mark = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}[outcome.result]
    detail = f"  {outcome.detail}" if outcome.detail else ""
    line = f"{mark}  {outcome.name}  ({outcome.seconds:.2f} s){detail}"
    for name, text in (("contract", outcome.contract), ("received", outcome.received)):
        if text:
            line += f"\n         {name}: {text}"
    return line


def expect(condition: object, detail: str) -> None:
    """CheckFailed with `detail` unless `condition` holds."""
    if not condition:
        raise CheckFailed(detail)


def equal(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise CheckFailed(f"{what}: expected {wanted!r}, got {found!r}")


async def until(what: str, condition: Callable[[], Awaitable[bool]], deadline_seconds: float) -> None:
    """CheckFailed naming `what` when the condition doesn't come true in time."""
    try:
        async with asyncio.timeout(deadline_seconds):
            # Another process makes it true: there is nothing to wait on.
            while not await condition():
                interrupts.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise CheckFailed(f"not within {deadline_seconds:.0f} s: {what}") from None
