"""A checkout whose release is small to check and build, and whose services are ours as they are here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.release.commands import Command
from tests.integration.release.gate.test_preflight import write_env
from tests.integration.release.repositories import SCHEMA, repository
from tests.integration.release.rollout.little_project import stop_services
from tests.ports import free_port

# The gate's checks and the migrations are a word each; a service becomes the installed one, in the same process.
_MAIN = """\
import json
import os
import sys

name = sys.argv[1]
if name in ("conformance", "smoke"):
    print(f"{name}: 1 ok, 0 failed")
elif name == "db":
    print(json.dumps({"ran": [], "current": "SCHEMA"}))
else:
    os.execv("PYTHON", ["PYTHON", "-m", "uniassist.cli.main", *sys.argv[1:]])
"""
_THRESHOLD = """\
[{name}]
per_minute = 5
window_minutes = 5
agreed_by = "the tests"
agreed_on = 2026-11-24
reason = "none"
"""


class SmallRelease:
    """`home`: of its records. `services`: where they will answer, by name."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self._repo = repository(folder / "checkout")
        self._repo.write(
            "src/uniassist/cli/main.py", _MAIN.replace("SCHEMA", SCHEMA).replace("PYTHON", sys.executable)
        )
        self._repo.write("requirements/runtime.txt", "")
        thresholds = "".join(_THRESHOLD.format(name=name) for name in ("dead_letter", "retry"))
        self._repo.write("ops/deploy/staging/thresholds.toml", thresholds)
        self._repo.commit(tag="v1")
        self.home = self._repo.path / ".uniassist" / "release"
        self._env_file = folder / "staging.env"
        names = ("GATEWAY", "ADAPTER_WECHAT", "WORKER", "PROVIDER_PLAN")
        ports = {f"{name}_PORT": str(free_port()) for name in names}
        urls = {name: f"http://127.0.0.1:{ports[f'{name}_PORT']}" for name in names}
        self.services = {name.lower().replace("_", "-"): url for name, url in urls.items()}
        write_env(
            self._env_file,
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            GATEWAY_URL=urls["GATEWAY"],
            UNIASSIST_PLAN_PROVIDER_BASE_URL=urls["PROVIDER_PLAN"],
            GATEWAY_HOUR_SESSIONS_PER_USER="0",
            **ports,
            **{f"STAGING_{name}_BASE_URL": url for name, url in urls.items()},
        )

    def begin(self) -> subprocess.Popen[str]:
        """`uniassist release run`, watched for a second."""
        arguments = ("release", "run", "--rev", "v1", "--yes", "--for", "1s", "--env-file", str(self._env_file))
        return Command(self._repo.path).start(arguments, {})

    def stop(self) -> None:
        """Whatever it started."""
        stop_services(self.home / "environments/staging/local")
