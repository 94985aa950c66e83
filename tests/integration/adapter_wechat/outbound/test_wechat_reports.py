"""Reports to the gateway: each counted once, and none held up by one that the gateway refuses."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog
from prometheus_client import CollectorRegistry
from tests.integration.adapter_wechat.gateway_double import GatewayDouble
from tests.processes import ADAPTER_SECRET, CONTEXT_TOKEN
from tests.waiting import eventually

from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.metrics import ChannelMetrics
from uniassist.adapter_wechat.outbound.reports import Reporter
from uniassist.store.server.pool import Pool, create_pool
from uniassist.web.calling.client import JsonClient

REPORT = """
INSERT INTO wechat_reports (openid, session_id, trace_id, event_ids, outcome, detail)
VALUES ('o', 'wx-session:o', $1, ARRAY[$1 || '-1', $1 || '-2'], 'parked', 'd')
"""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await create_pool(database_url, application_name="test")
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def reporting(pool: Pool, client: JsonClient, double: GatewayDouble) -> AsyncIterator[CollectorRegistry]:
    registry = CollectorRegistry()
    gateway = GatewayClient(client, double.url, adapter_secret=ADAPTER_SECRET, token=CONTEXT_TOKEN)
    reporter = Reporter(pool, gateway, ChannelMetrics(registry))
    reporter.loop.start()
    yield registry
    await reporter.loop.stop()


async def all_told(pool: Pool) -> None:
    async def told() -> bool:
        return bool(await pool.fetchval("SELECT count(*) = 0 FROM wechat_reports"))

    await eventually(told, "nothing is left to report")


async def test_what_several_tell_at_once_is_counted_once(
    pool: Pool, client: JsonClient, own_gateway: GatewayDouble
) -> None:
    own_gateway.report_seconds = 0.5
    for trace in ("a", "b", "c"):
        await pool.execute(REPORT, trace)
    async with reporting(pool, client, own_gateway) as first, reporting(pool, client, own_gateway) as second:
        await eventually(lambda: len(own_gateway.reports) == 6, "both told all of them")
        await all_told(pool)
    counts = [registry.get_sample_value("uniassist_wechat_parked_total") or 0.0 for registry in (first, second)]
    assert sum(counts) == 6


async def test_a_report_that_the_gateway_refuses_as_a_whole_holds_up_no_other(
    pool: Pool, client: JsonClient, own_gateway: GatewayDouble
) -> None:
    own_gateway.refused_trace = "b"
    for trace in ("a", "b", "c"):
        await pool.execute(REPORT, trace)
    with structlog.testing.capture_logs() as lines:
        async with reporting(pool, client, own_gateway):
            await all_told(pool)
    assert [each["traceId"] for each in own_gateway.reports] == ["a", "c"]
    assert [line["sessionId"] for line in lines if "refused" in line["event"]] == ["wx-session:o"]
