"""What an operator sees: metrics, health, what is forgotten in time, and why a gateway doesn't start."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from starlette.requests import Request
from tests.integration.gateway.client import GatewayClient, decoded, message, now_ms
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.errors import StartError
from uniassist.gateway import overview as module
from uniassist.gateway.metrics import GatewayMetrics
from uniassist.gateway.overview import Overview
from uniassist.store import calls, outbox
from uniassist.store.server.pool import Pool, create_pool

OUTBOX = {
    "pending",
    "processing",
    "failed",
    "delivered",
    "consumed",
    "deadLetter",
    "attemptsTotal",
    "retryRows",
    "oldestBacklogAgeMs",
    "backlogTotal",
}


async def test_the_metrics_are_the_contracts_and_count(gateway: GatewayClient) -> None:
    document = decoded(await gateway.get("/v0/metrics"))
    assert (document["schemaVersion"], document["service"]) == ("v0", "gateway")
    assert abs(document["timestampMs"] - now_ms()) < 60_000
    before = document["metrics"]
    assert {area: set(names) for area, names in before.items()} == {
        "ingest": {"total", "errorTotal", "errorRate", "latencyP95Ms"},
        "provider": {"invokeErrorTotal", "interactErrorTotal"},
        "persistence": {"errorTotal"},
        "outbox": OUTBOX,
    }
    await gateway.ingest(message())
    assert (await gateway.post("/v0/ingest", b"{")).status == 400
    after = await gateway.metrics()
    assert after["ingest"]["total"] == before["ingest"]["total"] + 2
    assert after["ingest"]["errorTotal"] == before["ingest"]["errorTotal"] + 1
    assert 0 < after["ingest"]["errorRate"] < 1
    assert after["ingest"]["latencyP95Ms"] > 0


async def test_the_outboxes_rows_are_counted(
    service: Callable[..., ServiceProcess],
    connect: Callable[[ServiceProcess], GatewayClient],
    database_url: str,
    shared_redis_url: str,
) -> None:
    client = connect(service("gateway", DATABASE_URL=database_url, REDIS_URL=shared_redis_url))
    await client.ingest(message())
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE outbox_events SET status = 'dead_letter', attempts = 3 WHERE id = 1")
    rows = (await client.metrics())["outbox"]
    assert (rows["pending"], rows["deadLetter"], rows["attemptsTotal"]) == (3, 1, 3)
    assert rows["backlogTotal"] == 3
    assert rows["oldestBacklogAgeMs"] >= 0


async def test_whoever_asks_the_rows_are_counted_once_in_a_while(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, counted = outbox.counts, 0

    async def noted(asked: Pool) -> dict[str, int]:
        nonlocal counted
        counted += 1
        return await counts(asked)

    monkeypatch.setattr(outbox, "counts", noted)
    asked, overview = Request({"type": "http"}), Overview(pool, GatewayMetrics())
    await asyncio.gather(*(overview.read(asked) for _ in range(5)))
    await overview.read(asked)
    assert counted == 1
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    await overview.read(asked)
    assert counted == 2


async def test_health_names_the_service_and_its_checks(gateway: GatewayClient) -> None:
    answer = await gateway.get("/health")
    body = decoded(answer)
    assert (answer.status, body["ok"], body["service"]) == (200, True, "gateway")
    assert body["checks"] == {"postgres": "ok", "redis": "ok"}
    assert body["version"]
    assert "revision" in body
    assert (await gateway.get("/health/live")).status == 200


async def test_prometheus_can_read_the_same_counters(gateway: GatewayClient) -> None:
    await gateway.ingest(message())
    answer = await gateway.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("uniassist_ingest_total", "uniassist_ingest_seconds_bucket", "uniassist_sse_connections"):
        assert f"\n{name}" in answer.body.decode()


async def test_no_other_pages_scripts_may_call_until_a_setting_names_them(
    gateway: GatewayClient, guarded: GatewayClient
) -> None:
    named, loopback = {"origin": "https://app.example"}, {"origin": "http://localhost:3000"}
    for each in (named, loopback):
        assert "access-control-allow-origin" not in (await gateway.get("/v0/timeline?sessionId=s", each)).headers
    answer = await guarded.get("/v0/timeline?sessionId=s", named)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, named["origin"])
    assert "access-control-allow-origin" not in (await guarded.get("/health", loopback)).headers


async def test_in_dev_this_machines_pages_may_call(start_gateway: Callable[..., GatewayClient]) -> None:
    dev = start_gateway(UNIASSIST_ENV="dev")
    allowed = ("http://localhost:3000", "http://127.0.0.1", "https://localhost", "http://[::1]:8080")
    others = ("https://app.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example:80", "null")
    for origin in (*allowed, *others):
        answer = await dev.get("/health", {"origin": origin})
        assert answer.headers.get("access-control-allow-origin") == (origin if origin in allowed else None)


async def test_old_nonces_and_keys_are_forgotten_in_steps(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO signature_nonces SELECT 'n' || n, now() - interval '1 s' FROM generate_series(1, 6000) n"
        )
        connection.execute("INSERT INTO signature_nonces VALUES ('fresh', now() + interval '1 minute')")
        connection.execute(
            "INSERT INTO idempotency_keys SELECT 's', 'k' || n, '', '', now() - n * interval '1 hour'"
            " FROM generate_series(0, 100) n"
        )
        pool = await create_pool(database_url, application_name="test")
        async with pool:
            kept = dt.timedelta(days=3)
            assert await calls.prune(pool, keys_older_than=kept)
            assert not await calls.prune(pool, keys_older_than=kept)
        nonces = connection.execute("SELECT nonce FROM signature_nonces").fetchall()
        keys = connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()
    assert nonces == [("fresh",)]
    assert keys == (72,)


async def test_a_running_gateway_forgets_them(
    start_gateway: Callable[..., GatewayClient], database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO signature_nonces VALUES ('used', now() - interval '1 s')")
        start_gateway()

        def is_forgotten() -> bool:
            return connection.execute("SELECT count(*) FROM signature_nonces").fetchone() == (0,)

        await eventually(is_forgotten, "the nonce is gone")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UNIASSIST_PROVIDERS_FILE", "/nowhere/providers.toml"),
        ("UNIASSIST_PLAN_PROVIDER_BASE_URL", "plan:8890"),
        ("GATEWAY_PROVIDER_TIMEOUT_MS", "soon"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("DATABASE_URL", ""),
    ],
)
def test_a_bad_setting_is_named_and_the_gateway_does_not_start(
    service: Callable[..., ServiceProcess], shared_redis_url: str, variable: str, value: str
) -> None:
    env = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": shared_redis_url}
    with pytest.raises(StartError) as failed:
        service("gateway", **(env | {variable: value}))
    assert "ended with 1" in str(failed.value)
    assert variable in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_a_bad_providers_file_is_refused_with_the_field(
    service: Callable[..., ServiceProcess], shared_redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "providers.toml"
    file.write_text('[[provider]]\nid = "work"\nkeywords = []\n', "utf-8")
    with pytest.raises(StartError, match=r"providers\.toml: .*keywords"):
        service(
            "gateway",
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
            REDIS_URL=shared_redis_url,
            UNIASSIST_PROVIDERS_FILE=str(file),
        )
