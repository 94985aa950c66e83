"""A deadline holds though the database hangs."""

from __future__ import annotations

import asyncio

import pytest

from uniassist.adapter_wechat.outage import within
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.errors import Away
from uniassist.store.server.pool import create_pool


async def test_a_query_is_given_up_in_time_though_the_server_never_confirms_it(
    own_postgres: EmbeddedPostgres,
) -> None:
    pool = await create_pool(own_postgres.url, application_name="test")
    assert await within(asyncio.get_running_loop().time() + 5.0, pool.fetchval("SELECT 1")) == 1
    own_postgres.process.pause()  # whoever would take the driver's request to cancel
    try:
        async with asyncio.timeout(20.0):  # far beyond the deadline, and far from the query's own end
            with pytest.raises(Away):
                await within(asyncio.get_running_loop().time() + 0.3, pool.fetchval("SELECT pg_sleep(60)"))
    finally:
        own_postgres.process.resume()
    assert await within(asyncio.get_running_loop().time() + 20.0, pool.fetchval("SELECT 1")) == 1
    await asyncio.wait_for(pool.close(), 20.0)
