"""Reading a timeline in pages, bounded in events and in bytes."""

from __future__ import annotations

import tracemalloc

import psycopg

from uniassist.store import timeline
from uniassist.store.server.pool import create_pool

MEGABYTE = 1024 * 1024


def _write(url: str, sizes: list[int]) -> None:
    """Events with payloads of about these sizes, seq 1 and on."""
    with psycopg.connect(url) as connection:
        connection.cursor().executemany(
            "INSERT INTO timeline_events"
            " (event_id, trace_id, session_id, user_id, seq, timestamp_ms, kind, payload)"
            " VALUES (%s, 't', 's', 'u', %s, 0, 'inbound', jsonb_build_object('a', repeat('x', %s)))",
            [(f"e-{seq}", seq, size) for seq, size in enumerate(sizes, 1)],
        )


async def test_pages_hold_each_event_once_within_both_bounds(database_url: str) -> None:
    _write(database_url, [10] * 30 + [5000] * 10 + [10] * 5)
    async with await create_pool(database_url, application_name="test") as pool:
        pages = [await timeline.read(pool, "s", 0, 20, max_bytes=20_000)]
        while pages[-1].more:
            pages.append(await timeline.read(pool, "s", pages[-1].events[-1].seq, 20, max_bytes=20_000))
    assert [event.seq for page in pages for event in page.events] == list(range(1, 46))
    assert [len(page.events) for page in pages] == [20, 14, 4, 7]


async def test_an_event_over_the_bound_is_a_page(database_url: str) -> None:
    _write(database_url, [50_000, 10])
    async with await create_pool(database_url, application_name="test") as pool:
        page = await timeline.read(pool, "s", 0, max_bytes=1000)
        assert ([event.seq for event in page.events], page.more) == ([1], True)
        page = await timeline.read(pool, "s", 1, max_bytes=1000)
        assert ([event.seq for event in page.events], page.more) == ([2], False)


async def test_a_page_of_large_events_is_bounded_before_it_is_fetched(database_url: str) -> None:
    _write(database_url, [MEGABYTE] * 60)
    async with await create_pool(database_url, application_name="test") as pool:
        await timeline.read(pool, "s", 60)  # connected, and the statement is known
        tracemalloc.start()
        try:
            page = await timeline.read(pool, "s", 0)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert ([event.seq for event in page.events], page.more) == ([1], True)
    assert peak_bytes < 8 * MEGABYTE
