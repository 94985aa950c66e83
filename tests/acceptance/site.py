"""A host to release to: embedded servers, a clone of this project with its tags, an env file, the local driver."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.ports import free_port
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.clock import now
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.env.environment import Environment
from uniassist.release.env.file import written
from uniassist.release.env.services import ROLLOUT_ORDER, known
from uniassist.release.records.records import Records
from uniassist.release.revision import git, wheel

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 900.0
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
PORT_VARIABLES = {service: known(service).port_variable for service in ROLLOUT_ORDER}
_URLS = {
    "provider-plan": "STAGING_PROVIDER_PLAN_BASE_URL",
    "adapter-wechat": "STAGING_ADAPTER_WECHAT_BASE_URL",
    "gateway": "STAGING_GATEWAY_BASE_URL",
    "worker": "STAGING_WORKER_BASE_URL",
}
SECRET, TOKEN, WECHAT = "acceptance-adapter-secret-01", "acceptance-context-token-01", "acceptancewechat"


@dataclass(frozen=True)
class Ended:
    """A command that ran: `said` is everything it said, on one line, and `lines` as it said it."""

    command: str
    code: int
    lines: list[str]
    seconds: float

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.lines).split())


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "clone"
        self.home = self.clone / ".uniassist" / "release"
        self.postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        self.redis = EmbeddedRedis(folder / "redis")
        self.ports = {service: free_port() for service in PORT_VARIABLES}
        self.records = Records(self.home)
        self._wheels: dict[str, str] = {}

    def start(self) -> None:
        """Servers, and the clone with v1 tagged; v2 is a small change of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.postgres.start()
        self.redis.start()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.clone)], check=True)
        self.tag("v1")
        self.write_env("good.env")
        self.release_of("v2", lambda: self.append("src/uniassist/cli/services.py", "\n# v2\n"))

    def stop_services(self) -> None:
        driver = LocalDriver(self.home / "environments" / "staging" / "local")
        for service in PORT_VARIABLES:
            asyncio.run(driver.stop(service))

    def stop(self) -> None:
        """The servers, and all that is on the disk."""
        self.redis.process.kill()
        self.postgres.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def env(self, **changed: str) -> dict[str, str]:
        values = {
            "UNIASSIST_ENV": "staging",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "UNIASSIST_ADAPTER_SECRET": SECRET,
            "UNIASSIST_PROVIDER_CONTEXT_TOKEN": TOKEN,
            "UNIASSIST_PROVIDER_TOKEN_PLAN": TOKEN,
            "UNIASSIST_PLAN_PROVIDER_BASE_URL": self.url("provider-plan"),
            "UNIASSIST_APP_AUTH": "off",
            "GATEWAY_URL": self.url("gateway"),
            "WECHAT_TOKEN": WECHAT,
            "STAGING_CONTEXT_TOKEN": TOKEN,
            "STAGING_VERIFY_TIMEOUT_MS": "12000",
        }
        values |= {variable: str(self.ports[service]) for service, variable in PORT_VARIABLES.items()}
        values |= {variable: self.url(service) for service, variable in _URLS.items()}
        return values | changed

    def write_env(self, name: str, **changed: str) -> Path:
        path = self.folder / name
        path.write_text(written(self.env(**changed)))
        path.chmod(0o600)
        return path

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=acceptance", "-c", "user.email=acceptance@example.com")
        command = ["git", *identity, "-C", str(self.clone), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def tag(self, name: str) -> None:
        self.git("tag", "-a", name, "-m", name)

    def release_of(self, tag: str, change: Callable[[], object]) -> None:
        """A tag of v1 with a change; the checkout goes back to v1's commit, as an operator's may be anywhere."""
        self.git("checkout", "-q", "v1")
        change()
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"what {tag} changes")
        self.tag(tag)
        self.git("checkout", "-q", "v1")

    def broken(self, tag: str, service: str, code: str) -> None:
        """A revision in which one service runs this code before its own."""
        body = "\n".join(f"    {line}" for line in code.strip().splitlines())
        patch = f'\nimport sys as _sys\n\nif _sys.argv[1:2] == ["{service}"]:\n{body}\n'
        self.release_of(tag, lambda: self.append("src/uniassist/cli/services.py", patch))

    def approve(self, tag: str, env_file: Path) -> None:
        """As preflight and gate would note it: what follows them is tested here also where they'd have refused."""
        commit = git.tag_commit(self.clone, tag)
        assert commit is not None
        digest = Environment.load("staging", env_file).env_digest
        known = self.records.of_commit(commit).get("preflight", {})
        found = {
            "at": now(),
            "run": "by the campaign",
            "tag": tag,
            "wheelSha256": known.get("wheelSha256") or self._wheel(commit),
            "envDigest": digest,
        }
        self.records.know(commit, preflight=found, gate=found)

    def uniassist(self, *arguments: str, env_file: Path | None = None, prefix: tuple[str, ...] = ()) -> Ended:
        """A command as an operator types it in the clone, without a terminal."""
        command = [*prefix, sys.executable, "-m", "uniassist.cli.main", *arguments]
        if env_file is not None:
            command += ["--env-file", str(env_file)]
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        env |= {"UNIASSIST_ENV": "staging"}
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.clone,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        shown = "uniassist " + " ".join(a for a in arguments if not a.startswith("/"))
        return Ended(shown, done.returncode, done.stdout.splitlines(), time.monotonic() - began)

    def revisions(self) -> dict[str, str | None]:
        """What answers at each port, asked directly; None: nothing does."""
        return {service: (self.health(service) or {}).get("revision") for service in PORT_VARIABLES}

    def health(self, service: str) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"{self.url(service)}/health", timeout=8) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return dict(json.loads(error.read() or b"{}"))
        except (OSError, ValueError):
            return None

    def standing(self, tag: str) -> str:
        """all-new, all-old or MIXED for a rollout of `tag`, from what answers."""
        seen = list(self.revisions().values())
        return "all-new" if set(seen) == {tag} else "all-old" if tag not in seen else "MIXED"

    def inject(self, sql: str, *parameters: object) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(sql.encode(), parameters)

    def incidents(self) -> list[Mapping[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.home / "incidents").glob("*.json"))]

    def append(self, name: str, text: str) -> None:
        path = self.clone / name
        path.write_text(path.read_text() + text)

    def _wheel(self, commit: str) -> str:
        """Its hash; built once."""
        if commit not in self._wheels:
            self._wheels[commit] = self._built(commit)
        return self._wheels[commit]

    def _built(self, commit: str) -> str:
        folder = self.folder / "wheels" / commit
        git.export(self.clone, commit, folder / "export")
        (folder / "into").mkdir()
        return wheel.sha256(asyncio.run(wheel.build(folder / "export", folder / "into", wheel.HERE)))
