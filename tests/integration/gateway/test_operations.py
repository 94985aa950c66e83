"""What an operator sees: figures, health, what is forgotten in time, and why a gateway doesn't start."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, decoded, message, now_ms
from tests.processes import ServiceProcess

from uniassist.errors import StartError
from uniassist.store import calls
from uniassist.store.pool import create_pool

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


async def test_the_figures_are_the_contracts_and_count(gateway: GatewayClient) -> None:
    document = decoded(await gateway.get("/v0/metrics"))
    assert (document["schemaVersion"], document["service"]) == ("v0", "gateway")
    assert abs(document["timestampMs"] - now_ms()) < 60_000
    before = document["metrics"]
    assert {name: set(figures) for name, figures in before.items()} == {
        "ingest": {"total", "errorTotal", "errorRate", "latencyP95Ms"},
        "provider": {"invokeErrorTotal", "interactErrorTotal"},
        "persistence": {"errorTotal"},
        "outbox": OUTBOX,
    }
    await gateway.ingest(message())
    assert (await gateway.post("/v0/ingest", b"{")).status == 400
    after = await gateway.figures()
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
    outbox = (await client.figures())["outbox"]
    assert (outbox["pending"], outbox["deadLetter"], outbox["attemptsTotal"]) == (3, 1, 3)
    assert outbox["backlogTotal"] == 3
    assert outbox["oldestBacklogAgeMs"] >= 0


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


async def test_browsers_of_any_origin_may_call(gateway: GatewayClient) -> None:
    answer = await gateway.get("/v0/timeline?sessionId=s", {"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


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
