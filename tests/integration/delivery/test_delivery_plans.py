"""The plans of the statements that run all the time: partial indexes, and no more rows than are asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.conftest import _new_database

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.store import delivery, settling
from uniassist.store.queries import statements
from uniassist.store.server.pool import Pool

Plan = dict[str, Any]

_ROWS = """
INSERT INTO outbox_events (event_id, session_id, payload, status, next_retry_at)
SELECT $1 || n, 's' || n % 1000, '{}', $1, now() + interval '1 hour' FROM generate_series(1, $2::integer) n
"""
_PARTIAL = {"outbox_pending", "outbox_processing", "outbox_failed", "outbox_retries", "outbox_delivered"}
LIMIT = 500
SLICE = {
    "worker": "w",
    "shards": list(range(32)),
    "epoch": "epoch",
    "after_epoch": "",
    "after": 0,
    "limit": 1000,
    "ids": [],
    "look": False,
    "aside": [],
    "reason": None,
    "delay_ms": 0,
    "for_good": False,
    "row_lease": delivery.ROW_LEASE,
}


@pytest.fixture(
    scope="module", params=["without statistics", "only the shards'", "of before anything waited", "analyzed"]
)
def filled(request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database of 100,000 rows, to be copied. Nobody may connect to it: nor does autovacuum."""
    with contextmanager(_new_database)(postgres_server, "template_uniassist") as url:
        with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
            connection.execute(_ROWS, ["consumed", 50_000])
            if request.param == "of before anything waited":  # as they are on most days
                connection.execute("VACUUM ANALYZE outbox_events")
            connection.execute(_ROWS, ["pending", 50_000])
            connection.execute(_ROWS, ["failed", 20])
            if request.param == "analyzed":
                connection.execute("ANALYZE outbox_events")
            if request.param == "only the shards'":  # as autovacuum may leave it
                connection.execute("ANALYZE delivery_shards, delivery_workers")
            name = connection.info.dbname
        with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        yield name


@pytest.fixture
async def pool(postgres_server: EmbeddedPostgres, filled: str) -> AsyncIterator[Pool]:
    """The worker's own pool, on rows of which one worker holds all shards."""
    with contextmanager(_new_database)(postgres_server, filled) as url:
        async with await delivery.create_pool(url) as pool:
            await delivery.heartbeat(pool, "w", lease_seconds=600, epoch=None, take=True, per_second=0)
            await settling.mark(pool, settling.Shards("w", range(32), "epoch"))
            yield pool


async def explained(pool: Pool, name: str, **values: object) -> list[Plan]:
    """Every node that reads outbox_events, as it was executed."""
    query, *arguments = {**statements("delivery"), **statements("settling")}[name](**values)
    text = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    return [node for node in _nodes(json.loads(text)[0]["Plan"]) if node.get("Relation Name") == "outbox_events"]


def _nodes(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def reads(nodes: list[Plan]) -> list[Plan]:
    return [node for node in nodes if "Scan" in node["Node Type"]]


@pytest.mark.parametrize("set_back", [False, True])
async def test_a_claim_reads_what_it_takes_and_by_partial_indexes(pool: Pool, set_back: bool) -> None:
    held = {"worker": "w", "shards": list(range(32)), "tokens": [1] * 32, "epoch": "epoch"}
    bounds = {"room": 2**20, "longest": 2**20, "aside": [1], "only": [], "look": False, "set_back": set_back}
    nodes = reads(await explained(pool, "claim", limit=LIMIT, lease=dt.timedelta(seconds=10), **bounds, **held))
    used = {node.get("Index Name", node["Node Type"]) for node in nodes}
    assert used == {"outbox_pending", "outbox_failed", "outbox_retries", "outbox_events_pkey"}
    [pending] = [node for node in nodes if node.get("Index Name") == "outbox_pending"]
    assert pending["Actual Rows"] == LIMIT
    waiting = [node for node in nodes if node.get("Index Name") == "outbox_retries"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in waiting) == (20 if set_back else 0)
    assert pending.get("Rows Removed by Filter", 0) <= LIMIT / 10, "those that the 20 failed ones hold back"


async def test_a_heartbeat_reads_partial_indexes_only(pool: Pool) -> None:
    values = {
        "worker": "w",
        "lease": dt.timedelta(seconds=600),
        "epoch": "epoch",
        "take": True,
        "per_second": 0.0,
        "among": list(range(32)),
        "mark": "",
        "silence": dt.timedelta(seconds=1),
        "direct": True,
        "row_lease": delivery.ROW_LEASE,
    }
    nodes = reads(await explained(pool, "heartbeat", **values))
    assert nodes
    assert {node.get("Index Name", node["Node Type"]) for node in nodes} <= _PARTIAL
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 10 + 20, "and the 20 that wait"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("give_back", {"why": "rescue", "stage": "processing", **SLICE}),
        ("give_back", {"why": "rescue", "stage": "delivered", **SLICE}),
        ("give_back", {"why": "settle", "stage": "processing", **SLICE}),
        ("give_back", {"why": "claim", "stage": "given", **SLICE, "ids": [1, 2, 3]}),
        ("overdue", {"worker": "w", "older_than": dt.timedelta(seconds=20), "limit": 5000}),
        ("release", {"worker": "w", "ids": [1, 2, 3]}),
        ("deliver", {"worker": "w", "ids": [1, 2, 3], "epoch": "epoch"}),
        ("consume", {"ids": [50_001, 50_002], "epoch": "epoch", "consumer": "w", "bounds": [0.1, 1.0]}),
        ("ids_of", {"event_ids": ["pending1", "pending2"]}),
    ],
)
async def test_no_other_statement_reads_the_table(pool: Pool, name: str, values: dict[str, object]) -> None:
    nodes = reads(await explained(pool, name, **values))
    used = {node.get("Index Name", node["Node Type"]) for node in nodes}
    assert used <= _PARTIAL | {"outbox_events_pkey", "outbox_events_event_id_key"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 10
