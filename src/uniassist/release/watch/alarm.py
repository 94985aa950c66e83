"""Reaching people: the operator's own alert command, and the rollback as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence

from uniassist.release import subprocesses

ALERT_SECONDS = 10.0
DRY_RUN_SECONDS = 60.0


async def alert(command: str, document: Mapping[str, object]) -> str | None:
    """Run it by the shell with the document as JSON on its standard input. What went wrong, or None."""
    said = json.dumps(document, ensure_ascii=False).encode() + b"\n"
    ended = await subprocesses.run(["/bin/sh", "-c", command], os.environ, ALERT_SECONDS, given=said)
    if ended.code is None:
        return f"not done within {ALERT_SECONDS:.0f} s"
    return f"ended with {ended.code}: {ended.err[-200:].strip()}" if ended.code else None


def rollback_arguments(reason: str, first_failed_at: str) -> list[str]:
    """`uniassist release rollback` as a trigger calls it; the rest of what is known lies in trigger.json."""
    return ["--yes", "--because", reason, "--first-failed-at", first_failed_at]


async def run_rollback(command: Sequence[str], say: Callable[[str], None]) -> int:
    """Its exit code, its lines said as they come.

    Without a deadline: a rollback that takes too long is still the best there is, and says so itself.
    """
    return await subprocesses.follow(command, say)


async def try_rollback(command: Sequence[str]) -> str | None:
    """Whether its dry run passes; what it said last when it doesn't."""
    lines: list[str] = []
    try:
        async with asyncio.timeout(DRY_RUN_SECONDS):
            code = await run_rollback([*command, "--dry-run"], lines.append)
    except TimeoutError:
        return f"its dry run was not done within {DRY_RUN_SECONDS:.0f} s"
    said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return None if code == 0 else f"its dry run ended with {code}: {said.strip()}"
