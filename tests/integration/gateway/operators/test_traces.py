"""Spans over processes: an input's whole way is one trace; a process without an exporter knows nothing of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from tests.collector import Collector, Seen, collector
from tests.integration.gateway.client import GatewayClient, message, unique
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.providers import fake_provider
from tests.waiting import eventually

Start = Callable[..., ServiceProcess]
Connect = Callable[[ServiceProcess], GatewayClient]
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as opened:
        yield opened


def sends_to(url: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


async def test_the_whole_way_of_an_input_is_one_trace(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str, collected: Collector
) -> None:
    prefix = unique("traced:")
    env = {"DATABASE_URL": database_url, "REDIS_URL": shared_redis_url, "UNIASSIST_STREAM_PREFIX": prefix}
    env |= sends_to(collected.url)
    plan = service("provider-plan", **env)
    client = connect(service("gateway", UNIASSIST_PLAN_PROVIDER_BASE_URL=plan.url, **env))
    service("worker", **env)
    sent = message("帮我做个计划", userId="someone-not-to-be-told")
    await client.ingest(sent, {"traceparent": f"00-{TRACE}-{CALLER}-01"})
    steps = {
        ("gateway", "POST /v0/ingest"),
        ("gateway", "commit"),
        ("gateway", "invoke plan"),
        ("provider-plan", "POST /v0/invoke"),
        ("worker", "publish"),
        ("worker", "consume"),
    }
    await eventually(lambda: {(s.service, s.name) for s in collected.of(TRACE)} >= steps, "all steps came")
    spans = {span.name: span for span in collected.of(TRACE)}
    assert spans["POST /v0/ingest"].parent_id == CALLER
    assert spans["POST /v0/ingest"].attributes["http.response.status_code"] == 200
    assert spans["POST /v0/invoke"].parent_id == spans["invoke plan"].span_id
    for name in ("commit", "invoke plan", "publish", "consume"):
        assert spans[name].parent_id == spans["POST /v0/ingest"].span_id, name
    _say_nothing_of_the_person(collected.of(TRACE), sent)
    with Redis.from_url(shared_redis_url) as redis:
        entries = redis.xrange(f"{prefix}{sent['sessionId']}")
    kept = f"00-{TRACE}-{spans['POST /v0/ingest'].span_id}-01"
    assert {fields[b"traceparent"].decode() for _, fields in entries} == {kept}


def _say_nothing_of_the_person(spans: list[Seen], sent: dict[str, object]) -> None:
    told = str([span.attributes for span in spans])
    assert str(sent["userId"]) not in told
    assert str(sent["text"]) not in told


async def test_a_failed_call_is_a_failed_span_and_what_the_caller_does_not_sample_is_not_recorded(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str, collected: Collector
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    process = service(
        "gateway",
        DATABASE_URL=database_url,
        REDIS_URL=shared_redis_url,
        UNIASSIST_PLAN_PROVIDER_BASE_URL=nowhere,
        **sends_to(collected.url),
    )
    client = connect(process)
    unsampled = "1" * 32
    await client.ingest(message("计划"), {"traceparent": f"00-{unsampled}-{CALLER}-00"})
    await client.ingest(message("计划"), {"traceparent": f"00-{TRACE}-{CALLER}-01"})
    ack = await client.ingest(message("计划"), {"traceparent": "00-not-a-trace"})
    await client.when_over(ack["sessionId"], ack["runs"][0]["runId"])
    await client.get("/health")
    assert await asyncio.get_running_loop().run_in_executor(None, process.stop)  # sends what is left
    failed = [span for span in collected.of(TRACE) if span.name == "invoke plan"]
    assert [span.failed for span in failed] == [True]
    assert collected.of(unsampled) == []
    roots = [span for span in collected.spans if not span.parent_id]
    assert {span.name for span in roots} == {"POST /v0/ingest", "GET /v0/timeline"}, "health is no trace"


async def test_a_collector_that_hangs_holds_up_neither_inputs_nor_the_stop(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    with fake_provider() as never:
        process = service(
            "gateway", DATABASE_URL=database_url, REDIS_URL=shared_redis_url, **sends_to(never.base_url("hung"))
        )
        client = connect(process)
        for _ in range(20):
            await client.ingest(message("你好"))
        began = time.monotonic()
        assert await asyncio.get_running_loop().run_in_executor(None, process.stop)
        assert time.monotonic() - began < 10
    assert process.process.exit_code == 0


def test_without_an_exporter_neither_tracer_nor_exporter_is_imported() -> None:
    """redis-py imports the SDK's metrics by itself, where the SDK is installed."""
    program = """
import sys
import uniassist.gateway.app, uniassist.worker.app, uniassist.provider_plan.app
from uniassist import tracing
assert tracing.start(service="gateway", version="1", is_configured=False) is tracing.NO_SPANS
costly = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf", "requests")
print([name for name in sys.modules if name.startswith(costly)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr
