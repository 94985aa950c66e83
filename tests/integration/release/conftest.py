"""The commands under test, the variables of a live drill, and four services as after a good release."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from tests.integration.release.commands import Command
from tests.processes import CONTEXT_TOKEN, ServiceProcess

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.devstack.supervisor import answers

GROUP = "ua-delivery-staging"
GLOBAL_KEY = "uniassist:timeline:all"
REVISION = "v42"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def live(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The runbook's variables of a live drill."""
    return {
        "WORKER_DRILL_MODE": "live",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "UNIASSIST_STREAM_PREFIX": "uniassist:timeline:",
        "UNIASSIST_STREAM_GLOBAL_KEY": GLOBAL_KEY,
        "UNIASSIST_STREAM_GROUP": GROUP,
        "WORKER_DRILL_OUTPUT_PATH": str(tmp_path / "reports" / "drill-latest.md"),
    }


@pytest.fixture(scope="module")
def database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE verified TEMPLATE template_uniassist")
        yield postgres_server.url_for("verified")
        connection.execute("DROP DATABASE verified WITH (FORCE)")


@pytest.fixture(scope="module")
def redis_database(redis_server: EmbeddedRedis) -> str:
    """Flushed: its streams were an earlier module's database's."""
    url = redis_server.url.removesuffix("/0") + "/7"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="module")
def running(
    database: str, redis_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServiceProcess]]:
    """The four services, as they are after a good release."""
    logs = tmp_path_factory.mktemp("verified")
    services: dict[str, ServiceProcess] = {}
    servers = {"DATABASE_URL": database, "REDIS_URL": redis_database, "UNIASSIST_REVISION": REVISION}
    try:
        for name in ("provider-plan", "gateway", "adapter-wechat", "worker"):
            env = dict(servers)
            if name == "gateway":
                env["UNIASSIST_PLAN_PROVIDER_BASE_URL"] = services["provider-plan"].url
            if name == "adapter-wechat":
                env["GATEWAY_URL"] = services["gateway"].url
            services[name] = ServiceProcess(name, logs / f"{name}.log", env)
            services[name].start()
            services[name].process.wait_ready(partial(answers, f"{services[name].url}/health"))
        yield services
    finally:
        for service in services.values():
            service.stop()


@pytest.fixture
def staging(running: dict[str, ServiceProcess], tmp_path: Path) -> dict[str, str]:
    return {
        "STAGING_GATEWAY_BASE_URL": running["gateway"].url,
        "STAGING_PROVIDER_PLAN_BASE_URL": running["provider-plan"].url,
        "STAGING_ADAPTER_WECHAT_BASE_URL": running["adapter-wechat"].url,
        "STAGING_WORKER_BASE_URL": running["worker"].url,
        "STAGING_CONTEXT_TOKEN": CONTEXT_TOKEN,
        "DATABASE_URL": running["gateway"].env["DATABASE_URL"],
    }
