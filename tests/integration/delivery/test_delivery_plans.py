"""The plans of the statements that run all the time: partial indexes, and no more rows than are asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from uniassist.store import delivery
from uniassist.store.pool import Pool
from uniassist.store.queries import load

Plan = dict[str, Any]

_ROWS = """
INSERT INTO outbox_events (event_id, session_id, payload, status, next_retry_at)
SELECT $1 || n, 's' || n % 1000, '{}', $1, now() + interval '1 hour' FROM generate_series(1, $2::integer) n
"""
_PARTIAL = {"outbox_pending", "outbox_processing", "outbox_failed", "outbox_failed_due", "outbox_delivered"}
LIMIT = 500


@pytest.fixture(params=["without statistics", "analyzed"])
async def pool(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Pool]:
    """The worker's own pool, on 100,000 rows of which one worker holds all shards."""
    async with await delivery.create_pool(database_url) as pool:
        await pool.execute(_ROWS, "consumed", 50_000)
        await pool.execute(_ROWS, "pending", 50_000)
        await pool.execute(_ROWS, "failed", 20)
        if request.param == "analyzed":
            await pool.execute("ANALYZE outbox_events")
        await delivery.beat(pool, "w", lease_seconds=600, epoch=None, take=True, per_second=0)
        yield pool


async def explained(pool: Pool, name: str, *arguments: object) -> list[Plan]:
    """Every node that reads outbox_events, as it was executed."""
    query = load("delivery")[name]
    text = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    return [node for node in _nodes(json.loads(text)[0]["Plan"]) if node.get("Relation Name") == "outbox_events"]


def _nodes(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def reads(nodes: list[Plan]) -> list[Plan]:
    return [node for node in nodes if "Scan" in node["Node Type"]]


async def test_a_claim_reads_what_it_takes_and_by_partial_indexes(pool: Pool) -> None:
    shards = list(range(32))
    tokens = [1] * 32
    lease = dt.timedelta(seconds=10)
    nodes = reads(await explained(pool, "claim", "w", LIMIT, lease, shards, tokens, "epoch"))
    used = {node.get("Index Name", node["Node Type"]) for node in nodes}
    assert used == {"outbox_pending", "outbox_failed", "outbox_failed_due", "outbox_events_pkey"}
    [pending] = [node for node in nodes if node.get("Index Name") == "outbox_pending"]
    assert pending["Actual Rows"] == LIMIT
    assert pending.get("Rows Removed by Filter", 0) <= LIMIT / 10, "those that the 20 failed ones hold back"


async def test_a_beat_reads_partial_indexes_only(pool: Pool) -> None:
    lease = dt.timedelta(seconds=600)
    nodes = reads(await explained(pool, "beat", "w", lease, "epoch", True, 0.0))
    assert nodes
    assert {node.get("Index Name", node["Node Type"]) for node in nodes} <= _PARTIAL
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 10


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rescue", ("w", list(range(32)), "epoch")),
        ("settle", ("w", "epoch")),
        ("overdue", ("w", dt.timedelta(seconds=20))),
        ("release", ("w", [1, 2, 3])),
        ("deliver", ("w", [1, 2, 3], "epoch")),
        ("consume", ([50_001, 50_002], "w", [0.1, 1.0])),
        ("ids_of", (["pending1", "pending2"],)),
    ],
)
async def test_no_other_statement_reads_the_table(pool: Pool, name: str, arguments: tuple[object, ...]) -> None:
    nodes = reads(await explained(pool, name, *arguments))
    used = {node.get("Index Name", node["Node Type"]) for node in nodes}
    assert used <= _PARTIAL | {"outbox_events_pkey", "outbox_events_event_id_key"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 10
