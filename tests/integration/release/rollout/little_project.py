"""A project of ours in small: tags whose services are health endpoints and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.integration.release.commands import Command, Ended
from tests.integration.release.gate.test_preflight import write_env
from tests.integration.release.repositories import NEXT_SCHEMA, SCHEMA, Repository, repository
from tests.ports import free_port

from uniassist.release.env.file import digest, read_env_file
from uniassist.release.records.records import Records

_MAIN = """\
import http.server
import json
import os
import pathlib
import signal
import sys
import threading

name = sys.argv[1]
if name in ("conformance", "smoke"):
    print(f"{name}: 1 ok, 0 failed")
    sys.exit()
if name == "db":
    print(json.dumps({"ran": [], "current": "NEXT" if "--contract" in sys.argv else "SCHEMA"}))
    sys.exit()
broken = (pathlib.Path(__file__).parent / "broken.txt").read_text().split()
env = os.environ


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = {"ok": name not in broken, "service": name, "version": "1", "checks": {}}
        for key, variable in (("revision", "REVISION"), ("envDigest", "ENV_DIGEST"), ("instance", "INSTANCE")):
            found[key] = env.get(f"UNIASSIST_{variable}")
        self.send_response(200 if found["ok"] else 503)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(env[name.replace("-", "_").upper() + "_PORT"])), Health)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.02)
"""


@dataclass
class Project:
    """A checkout with an env file, where preflight and gate were well, and the commands in it."""

    repo: Repository
    env_file: Path
    command: Command

    def tag(self, tag: str, broken: str = "nothing") -> None:
        """Make a revision, and note what preflight and gate would have found."""
        self.repo.write("src/uniassist/cli/broken.txt", broken)
        self.repo.write("src/uniassist/revision.txt", tag)
        commit = self.repo.commit(tag=tag)
        self.well(tag, commit)

    def well(self, tag: str, commit: str) -> None:
        sha256 = self.repo.wheel_sha256(commit)
        values = read_env_file(self.env_file)
        known = {"wheelSha256": sha256, "envDigest": digest(values, values), "envFile": str(self.env_file)}
        Records(self.repo.path / ".uniassist" / "release").know(commit, preflight=known, gate=known)

    def verified(self) -> None:
        """What runs is good, as after a verification."""
        path = self.repo.path / ".uniassist/release/environments/staging/deployed.json"
        known = json.loads(path.read_text())
        known["verified"] = [{"release": known["current"], "at": "2026-11-24T07:00:00.000Z"}]
        path.write_text(json.dumps(known))

    def __call__(self, *arguments: str, **env: str) -> Ended:
        more = () if arguments[-1] == "--help" else ("--env-file", str(self.env_file))
        return self.command("release", *arguments, *more, **env)

    def revisions(self) -> list[str | None]:
        """What answers, in rollout order, as status sees it."""
        ended = self("status", "--json")
        assert ended.code == 0, ended.said
        return [service.get("revision") for service in json.loads(ended.out)["services"]]

    def stop(self) -> None:
        """Whatever still runs: the keepers are found by their locks, as the driver finds them."""
        stop_services(self.repo.path / ".uniassist/release/environments/staging/local")


def stop_services(home: Path) -> None:
    """Those that the local driver keeps in its directory."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from uniassist.release.drivers.local import LocalDriver\n"
        "driver = LocalDriver(Path(sys.argv[1]))\n"
        "async def stop():\n"
        "    for service in ('provider-plan', 'adapter-wechat', 'gateway', 'worker'):\n"
        "        await driver.stop(service)\n"
        "asyncio.run(stop())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(home)], check=True, timeout=60)


def project(folder: Path, database_url: str, redis_url: str) -> Project:
    """With v1, not rolled out."""
    repo = repository(folder / "checkout")
    repo.write("src/uniassist/cli/main.py", _MAIN.replace("NEXT", NEXT_SCHEMA).replace("SCHEMA", SCHEMA))
    repo.write("requirements/runtime.txt", "")
    env_file = folder / "staging.env"
    ports = {f"{name}_PORT": str(free_port()) for name in ("GATEWAY", "ADAPTER_WECHAT", "WORKER", "PROVIDER_PLAN")}
    write_env(env_file, DATABASE_URL=database_url, REDIS_URL=redis_url, STAGING_VERIFY_TIMEOUT_MS="1000", **ports)
    made = Project(repo, env_file, Command(repo.path))
    made.tag("v1")
    return made
