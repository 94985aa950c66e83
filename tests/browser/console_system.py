"""A system with a console, and a page of it that notes every error and every request to elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from playwright.async_api import Browser, Page, Request
from psycopg.rows import dict_row
from tests.conftest import _new_database
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider, streaming_provider

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

ACTOR, READER = "console-act-token-0123456789", "console-read-token-0123456789"
# A gateway that is stopped in a test's middle: what a browser says of that is no error of the page's.
EXPECTED = (
    "503 (Service Unavailable)",
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_CONNECTION_RESET",
    "ERR_EMPTY_RESPONSE",
)
PATIENCE_MS = 60_000


@dataclass
class ConsoleSystem:
    """`services`: by name. `releases`: the directory that its console shows releases of."""

    database_url: str
    redis_url: str
    releases: Path
    provider: StreamingProvider
    services: dict[str, ServiceProcess] = field(default_factory=dict)

    @property
    def gateway(self) -> ServiceProcess:
        return self.services["gateway"]

    def execute(self, sql: str, *values: object) -> list[dict[str, object]]:
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def console_system(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, folder: Path, *, with_specialists: bool
) -> Iterator[ConsoleSystem]:
    """Gateway, worker and a provider that streams; provider-plan and provider-reminder where they are asked for."""
    for database_url in _new_database(postgres, "template_uniassist"):
        with streaming_provider() as provider:
            system = ConsoleSystem(database_url, redis.url, folder / ".uniassist" / "release", provider)
            system.releases.mkdir(parents=True)
            try:
                _start(system, folder, with_specialists=with_specialists)
                yield system
            finally:
                for service in system.services.values():
                    service.stop()


def _start(system: ConsoleSystem, folder: Path, *, with_specialists: bool) -> None:
    # The tests of a module may be dealt out in two goes, each with a database: streams have one owner.
    prefix = f"console:{system.database_url.rpartition('/')[2]}:"
    servers = {
        "DATABASE_URL": system.database_url,
        "REDIS_URL": system.redis_url,
        "UNIASSIST_STREAM_PREFIX": prefix,
    }
    providers = folder / "providers.toml"
    entries = f'[[provider]]\nid = "writer"\nkeywords = ["kw"]\nbase_url = "{system.provider.url}/writer"\n'
    for name, keyword in {"plan": "plan", "reminder": "remind"}.items() if with_specialists else ():
        service = ServiceProcess(f"provider-{name}", folder / f"{name}.log", servers)
        system.services[service.name] = service
        entries += f'[[provider]]\nid = "{name}"\nkeywords = ["{keyword}"]\nbase_url = "{service.url}"\n'
    providers.write_text(entries, "utf-8")
    system.services["worker"] = ServiceProcess("worker", folder / "worker.log", servers)
    system.services["gateway"] = ServiceProcess(
        "gateway",
        folder / "gateway.log",
        servers
        | {
            "UNIASSIST_PROVIDERS_FILE": str(providers),
            "UNIASSIST_CONSOLE": "true",
            "UNIASSIST_CONSOLE_TOKENS": f"olga:act:{ACTOR}, rita:read:{READER}",
            "UNIASSIST_CONSOLE_SERVICES": f"worker={system.services['worker'].url}",
            "UNIASSIST_CONSOLE_RELEASE_DIR": str(system.releases),
            "GATEWAY_HOUR_SESSIONS_PER_USER": "0",
        },
    )
    for service in system.services.values():
        service.env["GATEWAY_URL"] = system.gateway.url
        if service.name == "provider-plan":
            service.env["UNIASSIST_PLAN_PUBLIC_URL"] = service.url
        service.start()


@asynccontextmanager
async def console(
    browser: Browser, system: ConsoleSystem, place: str, *, token: str = ACTOR
) -> AsyncIterator[Page]:
    """A page of it, let in with `token`. AssertionError at its end: an error, or a request to elsewhere."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((system.gateway.url, "blob:", "data:")):
            elsewhere.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    await page.goto(f"{system.gateway.url}/console{place}")
    await page.locator("input[name=token]").fill(token)
    errors.clear()  # 401 was the answer that asked for the token
    await page.get_by_role("button", name="Enter").click()
    await page.locator("#main > *").wait_for()
    yield page
    bad = [error for error in errors if not any(known in error for known in EXPECTED)]
    await context.close()
    assert (bad, elsewhere) == ([], [])
