"""The pre-release gate: the runbook's three checks on an export of the revision, stopping at the first failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from uniassist.release.checklist import CheckFailed
from uniassist.release.interrupts import to_the_end
from uniassist.release.steps import Advice, Steps
from uniassist.release.throwaway import inherited

CHECK_SECONDS = 900.0
STOP_SECONDS = 60.0
_SAFE = "stop the rollout and fix it first; nothing was deployed, what runs stays as it is"
_SHOWN = 12


@dataclass(frozen=True)
class GateCheck:
    """`arguments` of the Python that runs us; `script` is the runbook's name for it."""

    name: str
    script: str
    arguments: tuple[str, ...]


CHECKS = (
    GateCheck("typecheck", "typecheck:workspaces", ("-m", "mypy")),
    GateCheck("conformance", "test:conformance", ("-m", "uniassist.cli.main", "conformance")),
    GateCheck("smoke", "smoke:redis:e2e", ("-m", "uniassist.cli.main", "smoke")),
)


@dataclass
class Gate:
    """`source` holds the revision's files; the checks' output goes to `output` line by line."""

    source: Path
    database_url: str
    redis_url: str
    cache: Path
    show: Callable[[str], None]
    output: list[str] = field(default_factory=list)

    async def run(self, steps: Steps) -> None:
        for number, check in enumerate(CHECKS, start=1):
            runbook = f"Pre-release gate {number}"
            if steps.failed:
                steps.not_run(check.name, "the gate stops at the first failure", runbook=runbook)
                continue
            await steps.run(
                check.name,
                lambda check=check: self._run(check),  # type: ignore[misc]
                runbook=runbook,
                deadline_seconds=CHECK_SECONDS,
                advice=Advice(f"pnpm {check.script}", _SAFE),
            )

    async def _run(self, check: GateCheck) -> str:
        self.output.append(f"$ python {' '.join(check.arguments)}")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *check.arguments,
            cwd=self.source,
            env=self._env(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is ours to answer
        )
        try:
            lines = await self._follow(check, process)
            code = await process.wait()
        finally:
            await to_the_end(_end, process)
        self.output.append(f"exit {code}")
        if code != 0:
            telling = [line for line in lines if line.startswith("FAILED")] or lines[-_SHOWN:]
            raise CheckFailed("\n".join([f"pnpm {check.script} ended with {code}:", *telling[:_SHOWN]]))
        return lines[-1] if lines else ""

    async def _follow(self, check: GateCheck, process: asyncio.subprocess.Process) -> list[str]:
        assert process.stdout is not None
        lines: list[str] = []
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            lines.append(line)
            self.output.append(line)
            self.show(f"{check.name}: {line}")
        return lines

    def _env(self) -> dict[str, str]:
        return inherited() | {
            # The revision's own code, whatever is installed.
            "PYTHONPATH": str(self.source / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MYPY_CACHE_DIR": str(self.cache),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let a check that is cut off clean up after itself; then no more."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
