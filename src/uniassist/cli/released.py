"""`uniassist status` and `uniassist doctor` of a system that was released, rather than started by `up`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uniassist.cli.system import ReleasedSystem
from uniassist.devstack import doctor
from uniassist.devstack.doctor import DoctorFinding, Level
from uniassist.release.checks.servers import check_postgres, check_redis
from uniassist.release.drivers.endpoint import Answered, ask
from uniassist.release.env.check import check_env
from uniassist.release.report.checklist import CheckFailed


def look(system: ReleasedSystem) -> dict[str, Answered]:
    """What answers at each of its URLs."""

    async def all_of_them() -> list[Answered]:
        return await asyncio.gather(*(ask(url) for url in system.urls.values()))

    return dict(zip(system.urls, asyncio.run(all_of_them()), strict=True))


def is_well(service: str, answered: Answered) -> bool:
    return answered.ok is True and answered.service == service


def said(service: str, answered: Answered) -> str:
    """In a few words."""
    if answered.ok is None:
        return f"doesn't answer: {answered.detail}"
    if answered.service != service:
        return f"another one answers: {answered.service or answered.detail}"
    return f"{answered.revision}, {answered.detail or ('healthy' if answered.ok else 'NOT healthy')}"


def lines(system: ReleasedSystem, seen: Mapping[str, Answered]) -> list[str]:
    """For a screen of 80 columns; the first says which system it is."""
    rows = [f"{name:<15} {system.urls[name]:<28} {said(name, answered)}" for name, answered in seen.items()]
    return [f"showing {system.said}", *rows]


def document(system: ReleasedSystem, seen: Mapping[str, Answered]) -> dict[str, Any]:
    services = [
        {
            "name": name,
            "url": system.urls[name],
            "health": "ok" if is_well(name, answered) else "no answer" if answered.ok is None else "failing",
            "failing": list(answered.failing),
            "revision": answered.revision,
        }
        for name, answered in seen.items()
    ]
    running = any(answered.ok is not None for answered in seen.values())
    return {"running": running, "kind": "release", "system": system.said, "services": services}


def examine(system: ReleasedSystem) -> list[DoctorFinding]:
    """All findings, in the order in which a person would mend them."""
    values = system.values
    findings = [doctor.python(sys.version_info[:3]), doctor.virtual_environment(), _env_set(values)]
    findings += asyncio.run(_servers(values))
    for name, answered in look(system).items():
        level: Level = "ok" if is_well(name, answered) else "fail"
        remedy = "" if level == "ok" else "uniassist release status says what runs; release start starts it"
        findings.append(DoctorFinding(name, level, f"{system.urls[name]}: {said(name, answered)}", remedy))
    findings.append(doctor.disk_space(shutil.disk_usage(Path.cwd()).free))
    return findings


def _env_set(values: Mapping[str, str]) -> DoctorFinding:
    try:
        return DoctorFinding("env set", "ok", check_env(values, values.get("UNIASSIST_ENV", ""), is_file=False))
    except CheckFailed as error:
        return DoctorFinding(
            "env set", "fail", str(error), "correct the env file; ops/deploy/staging/env.example explains"
        )


async def _servers(values: Mapping[str, str]) -> list[DoctorFinding]:
    found = []
    for name, check in (("DATABASE_URL", check_postgres), ("REDIS_URL", check_redis)):
        server = "postgres" if name == "DATABASE_URL" else "redis"
        try:
            found.append(DoctorFinding(server, "ok", await check(values.get(name, ""))))
        except (CheckFailed, ValueError) as error:
            found.append(DoctorFinding(server, "fail", str(error), f"start that server, or correct {name}"))
    return found
