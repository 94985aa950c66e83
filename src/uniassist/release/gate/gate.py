"""The pre-release gate: the runbook's three checks on an export of the revision, stopping at the first failure."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.release import interrupts, subprocesses
from uniassist.release.checks import outages
from uniassist.release.checks.servers import check_postgres, check_redis
from uniassist.release.clock import now
from uniassist.release.env.environment import Environment
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.gate.counting import counting, with_file
from uniassist.release.gate.source import GateSource, source_of
from uniassist.release.records.recording import keep
from uniassist.release.records.records import Records
from uniassist.release.records.room import require_room
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.report.steps import Advice, Steps, wrapped
from uniassist.release.revision import git, wheel
from uniassist.release.subprocesses import inherited

CHECK_SECONDS = 900.0
ROOM_MB = 64
_SAFE = "stop the rollout and fix it first; nothing was deployed, what runs stays as it is"
_SHOWN = 12


@dataclass(frozen=True)
class GateCheck:
    """`arguments` of the Python that runs us; `script` is the runbook's name for it; `again` runs it by itself."""

    name: str
    script: str
    arguments: tuple[str, ...]
    again: str


_OURS = ("-m", "uniassist.cli.main")
CHECKS = (
    GateCheck("typecheck", "typecheck:workspaces", ("-m", "mypy"), "make typecheck"),
    GateCheck("conformance", "test:conformance", (*_OURS, "conformance"), "uniassist conformance"),
    GateCheck("smoke", "smoke:redis:e2e", (*_OURS, "smoke"), "uniassist smoke"),
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
                partial(self._run, check),
                runbook=runbook,
                deadline_seconds=CHECK_SECONDS,
                advice=Advice(check.again, _SAFE),
            )

    async def _run(self, check: GateCheck) -> str:
        self.output.append(f"$ python {' '.join(check.arguments)}")
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line.rstrip())
            self.output.append(lines[-1])
            self.show(f"{check.name}: {lines[-1]}")

        command = [sys.executable, *check.arguments]
        code = await subprocesses.follow(command, say, env=self._env(), cwd=self.source)
        self.output.append(f"exit {code}")
        if code != 0:
            telling = [line for line in lines if line.startswith("FAILED")] or lines[-_SHOWN:]
            raise CheckFailed("\n".join([f"pnpm {check.script} ended with {code}:", *telling[:_SHOWN]]))
        return lines[-1] if lines else ""

    def _env(self) -> dict[str, str]:
        return inherited() | {
            # The revision's own code, whatever is installed.
            "PYTHONPATH": str(self.source / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MYPY_CACHE_DIR": str(self.cache),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
        }


def rehearse(environment: Environment, reporter: ReleaseReporter) -> None:
    """What would run. UsageRefused as `run_gate` says."""
    _servers(environment)
    for number, check in enumerate(CHECKS, start=1):
        reporter.say(f"[{number}/{len(CHECKS)}] would run pnpm {check.script}")


def run_gate(
    environment: Environment, here: Path, rev: str | None, records: Records, reporter: ReleaseReporter
) -> dict[str, Any]:
    """Run the checks, and keep what was found for the commit. The document has the exit code: 0 or 11.

    here: in the checkout.
    rev: None: the working tree is tested.

    Refused with 2 when a variable is missing, with 10 when a server is out of reach. StartError when the revision
    is. Interrupted after a Ctrl-C.
    """
    servers = _servers(environment)
    refuse_without_mypy()
    require_room(records.directory, ROOM_MB, temporary=True)
    steps, started_at = Steps(len(CHECKS), reporter.say, reporter.began), now()
    with source_of(here, rev) as source:
        counted = counting(environment, records, source.commit)
        reporter.say(f"gate of {source.said}")
        reporter.say(f"green {counted.said}")
        gate = Gate(source.directory, *servers, records.directory / "mypy-cache", reporter.began)
        sha256 = interrupts.run(_checked(gate, steps, source, here), reporter.say)
    found = [] if steps.ok else asyncio.run(outages.look(*servers))
    known = {"wheelSha256": sha256, "envDigest": environment.env_digest, "envFile": environment.file_name}
    document: dict[str, Any] = {
        "command": "release gate",
        "environment": environment.name,
        "result": "green" if steps.ok else "red",
        "exitCode": int(ExitCode.DONE if steps.ok else ExitCode.GATE),
        "startedAt": started_at,
        "endedAt": now(),
        "revision": rev,
        "commit": source.commit,
        "steps": steps.document(),
        "outages": [outage.line() for outage in found],
        "toolVersion": VERSION,
        **known,
    }
    for outage in found:
        for part in wrapped(f"not the revision's fault: {outage.line()}"):
            reporter.say(part)
    if steps.ok:
        reporter.say("gate green")
        for part in wrapped(f"it {counted.said}"):
            reporter.say(part)
    else:
        reporter.say(f"gate RED: {steps.failed[0].name}")
    if steps.ok and rev is not None:
        again = with_file(f"uniassist release gate --rev {rev}", counted.env_file)
        reporter.say(f"next: uniassist release plan --rev {rev}" if counted.counts else f"next: {again}")
    reporter.lines += ["", *map(environment.masker.mask, gate.output)]
    keep(reporter, records, document, source.commit, **known)
    return document


async def _checked(gate: Gate, steps: Steps, source: GateSource, here: Path) -> str | None:
    """The hash of the commit's wheel, once everything is green; None where it isn't, or there is no commit."""
    gate.show("asking Postgres and Redis…")
    try:
        await check_postgres(gate.database_url)
        await check_redis(gate.redis_url)
    except CheckFailed as error:
        raise Refused(ExitCode.PREFLIGHT, str(error)) from None
    await gate.run(steps)
    if not steps.ok or source.commit is None:
        return None
    gate.show("building the wheel…")
    with tempfile.TemporaryDirectory(prefix="uniassist-gate-") as folder:
        export, into = Path(folder) / "export", Path(folder) / "wheel"
        git.export(git.checkout_root(here), source.commit, export)
        into.mkdir()
        try:
            return wheel.sha256(await wheel.build(export, into, wheel.HERE))
        except CheckFailed as error:
            raise Refused(ExitCode.GATE, str(error)) from None


def has_mypy() -> bool:
    return importlib.util.find_spec("mypy") is not None


def refuse_without_mypy() -> None:
    """Refused with 10, before half of the gate has run: what only tests need isn't there after `make setup`."""
    if not has_mypy():
        raise Refused(
            ExitCode.PREFLIGHT, "mypy isn't installed here, which the gate needs\n      next: make typecheck"
        )


def _servers(environment: Environment) -> tuple[str, str]:
    """Postgres and Redis, by URL. UsageRefused names what is missing."""
    reader = environment.reader()
    if missing := [name for name in ("DATABASE_URL", "REDIS_URL") if reader.optional(name) is None]:
        raise UsageRefused(f"{', '.join(missing)}: required, but not set")
    return reader.database_url().reveal(), reader.redis_url().reveal()
