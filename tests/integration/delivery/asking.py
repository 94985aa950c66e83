"""Ask a running worker over HTTP, and the executable on its command line."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests import forking
from tests.processes import ServiceProcess


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def get(process: ServiceProcess, path: str) -> tuple[int, str]:
    """Status and body, whatever the status."""

    def fetch() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{process.url}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def health(process: ServiceProcess) -> tuple[int, dict[str, str]]:
    status, body = await get(process, "/health")
    checks: dict[str, str] = json.loads(body)["checks"]
    return status, checks


async def uniassist(*arguments: str, database_url: str, **env: str) -> Said:
    """`uniassist …` as an operator runs it: no terminal."""
    given = {"PATH": os.environ["PATH"], "UNIASSIST_ENV": "test", "DATABASE_URL": database_url, **env}
    process = forking.uniassist(arguments, env=given)
    out, err = await asyncio.to_thread(process.communicate, timeout=60)
    return Said(process.returncode, out, err)
