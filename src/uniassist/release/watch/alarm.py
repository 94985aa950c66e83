"""Reaching people: the operator's own alert command, and the rollback as a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

ALERT_SECONDS = 10.0
DRY_RUN_SECONDS = 60.0


async def alert(command: str, document: Mapping[str, object]) -> str | None:
    """Run it by the shell with the document as JSON on its standard input. What went wrong, or None."""
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            _, err = await process.communicate(json.dumps(document, ensure_ascii=False).encode() + b"\n")
    except TimeoutError:
        return f"not done within {ALERT_SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return f"ended with {process.returncode}: {err[-200:].decode('utf-8', 'replace').strip()}"
    return None


def rollback_arguments(reason: str, first_failed_at: str) -> list[str]:
    """`uniassist release rollback` as a trigger calls it; the rest of what is known lies in trigger.json."""
    return ["--yes", "--because", reason, "--first-failed-at", first_failed_at]


async def run_rollback(command: Sequence[str], say: Callable[[str], None]) -> int:
    """Its exit code, its lines said as they come. In a session of its own, so that no Ctrl-C of ours reaches it.

    Without a deadline: a rollback that takes too long is still the best there is, and says so itself.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None, "asked for above"
    async for line in process.stdout:
        say(line.decode("utf-8", "replace").rstrip("\n"))
    return await process.wait()


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
