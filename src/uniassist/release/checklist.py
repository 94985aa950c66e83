"""A list of checks, each run to its end within a deadline, said as a line, kept as evidence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from uniassist.errors import SettingsError, StartError, UniAssistError
from uniassist.release import interrupts
from uniassist.web.client import CallFailed

CHECK_SECONDS = 15.0
POLL_SECONDS = 0.05


class CheckFailed(Exception):
    """What was expected and what came instead."""


class Skipped(Exception):
    """Why this check doesn't apply here; it isn't a failure, but it is said."""


@dataclass(frozen=True)
class Outcome:
    name: str
    result: str  # ok | failed | skipped
    seconds: float
    detail: str = ""


@dataclass
class Checklist:
    """`say` gets one line for each check as it ends."""

    title: str
    say: Callable[[str], None]
    outcomes: list[Outcome] = field(default_factory=list)

    async def run(
        self, name: str, check: Callable[[], Awaitable[str | None]], *, deadline_seconds: float = CHECK_SECONDS
    ) -> bool:
        """Run one check; what it returns is its measurement. True unless it failed."""
        outcome = await attempt(name, check, deadline_seconds)
        self.outcomes.append(outcome)
        self.say(line_of(outcome))
        return outcome.result != "failed"

    @property
    def failed(self) -> list[Outcome]:
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


async def attempt(name: str, check: Callable[[], Awaitable[str | None]], deadline_seconds: float) -> Outcome:
    """One check within its deadline. Whatever it raises is a failure of what it looks at."""
    began = time.monotonic()
    deadline = asyncio.timeout(deadline_seconds)
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
    except (CheckFailed, CallFailed, SettingsError, StartError) as error:
        result, detail = "failed", str(error)
    except UniAssistError as error:
        result, detail = "failed", error.detail
    except Exception as error:  # a check that breaks is a check that failed
        result, detail = "failed", repr(error)
    return Outcome(name, result, round(time.monotonic() - began, 3), detail)


def line_of(outcome: Outcome) -> str:
    mark = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}[outcome.result]
    detail = f"  {outcome.detail}" if outcome.detail else ""
    return f"{mark}  {outcome.name}  ({outcome.seconds:.2f} s){detail}"


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
