"""The whole system on a Cluster, what health and commands say of its lanes, and lanes that become others."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.integration.cluster.conftest import LANES, Load, Streams, streams_of
from tests.integration.delivery.outbox_rows import GLOBAL, PREFIX, metric, opened
from tests.integration.gateway.client import GatewayClient, message
from tests.integration.gateway.sse import Follower, follow
from tests.processes import ServiceProcess
from tests.redis_cluster import Cluster
from tests.waiting import eventually

from uniassist.errors import AccessRefused, Moved
from uniassist.release.checks.outages import look
from uniassist.release.checks.servers import check_redis
from uniassist.streams import epoch as epochs
from uniassist.streams.append import Appender, Entry, EpochChanged
from uniassist.streams.client import connect
from uniassist.streams.copies import forget_streams
from uniassist.streams.lane_clients import LaneClients
from uniassist.streams.lanes import Lane, Layout, slot_of
from uniassist.streams.outage import is_outage_code
from uniassist.streams.wake import moved_prefix
from uniassist.web.calling.client import JsonClient

StartOn = Callable[..., ServiceProcess]


def health_of(service: ServiceProcess) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"{service.url}/health", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return dict(found["checks"])


async def test_messages_go_all_the_way_through_and_each_gateway_hears_of_them(
    cluster: Cluster, start_on: StartOn, database_url: str
) -> None:
    start_on("worker", cluster)
    first, second = start_on("gateway", cluster), start_on("gateway", cluster)
    sessions = [f"session-{at}" for at in range(12)]
    layout = Layout(PREFIX, GLOBAL, LANES)
    assert {layout.lane_of(each).number for each in sessions} == set(range(LANES))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(JsonClient())
        outbox = await stack.enter_async_context(opened(database_url, cluster.nodes[0].url))
        streams = await stack.enter_async_context(streams_of(cluster))
        followers = {each: await stack.enter_async_context(follow(second.url, each)) for each in sessions}
        client = GatewayClient(http, first.url)
        for text in ("one", "two"):
            for each in sessions:
                await client.ingest_signed(message(text, sessionId=each))
        await outbox.all_consumed()
        for each in sessions:
            seqs = [event["seq"] for event in await client.timeline(each)]
            assert await streams.session(each) == seqs
            await followers[each].until(has(seqs), f"{each} is followed")
        await forget_streams(streams.clients, sessions)
        assert [await streams.session(each) for each in sessions] == [[]] * len(sessions)
        shown = json.loads(await stats(database_url, cluster.url(lanes=LANES)))["stream"]["lanes"]
        assert [each["key"] for each in shown] == [f"{GLOBAL}:{{{number}}}" for number in range(LANES)]
        assert all("ua-delivery" in {group["group"] for group in each["groups"]} for each in shown)
    assert {health_of(each)["redis"] for each in (first, second)} == {"ok"}


def has(seqs: list[int]) -> Callable[[Follower], bool]:
    return lambda found: found.seqs == seqs


async def test_a_node_that_is_gone_is_said_with_its_lane(cluster: Cluster, start_on: StartOn) -> None:
    worker, url = start_on("worker", cluster), cluster.url(lanes=LANES)
    await eventually(lambda: health_of(worker)["redis"] == "ok", "all lanes are well")
    assert await check_redis(
        url
    ) == f"Redis {await version(url)}; an entry appended to a stream and deleted in " + (f"each of {LANES} lanes")
    assert await look(None, url) == []
    gone = cluster.owner(slot_of("{3}"))
    await asyncio.to_thread(gone.process.kill)
    await eventually(lambda: "lane " in health_of(worker)["redis"], "health says which lane")
    (found,) = await look(None, url)
    assert "lane " in str(found.fault)


async def test_a_slot_between_two_nodes_is_waited_for_and_a_plain_url_is_told_of_the_cluster(
    cluster: Cluster,
) -> None:
    slot = slot_of("{1}")
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)
    async with LaneClients(cluster.url(lanes=LANES), Layout(PREFIX, GLOBAL, LANES)) as clients:
        lane = clients.layout.lanes[1]
        redis = clients.of(lane)
        epoch = await epochs.begin(redis, lane.global_key, group="g")
        appender = Appender(
            redis,
            global_key=lane.global_key,
            moved_prefix=moved_prefix(PREFIX),
            session_length=1000,
            session_expiry_seconds=3600,
        )
        assert await appender.append([bare(lane, "event-1")], epoch) == ["published"]
        cluster.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
        cluster.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
        with pytest.raises(Moved):
            await redis.get("uniassist-unknown{1}")
        with pytest.raises(Moved) as caught:
            await redis.exists(lane.global_key, "uniassist-unknown{1}")
        with pytest.raises(Moved):
            await appender.append([bare(lane, "event-2", "another")], epoch)
        (outcome,) = await appender.append([bare(lane, "event-2")], epoch)  # what it remembers it by isn't there
        assert outcome.startswith("error: ")
        assert is_outage_code(outcome.removeprefix("error: ")), outcome
        assert caught.value.words == "redis: moved (its slot is on the way to another node)"
        cluster.finish_move(slot, target)
        assert await redis.xlen(lane.global_key) == 1  # asked of the other node, at once
        with pytest.raises(EpochChanged):
            await appender.append([bare(lane, "event-2")], epoch)
    async with connect(source.url) as redis:
        with pytest.raises(AccessRefused) as refused:
            await redis.xlen(lane.global_key)
        assert "redis+cluster://" in refused.value.words


def bare(lane: Lane, event_id: str, session_id: str = "session") -> Entry:
    return Entry(lane.session_key(session_id), event_id, session_id, b"{}")


async def test_lanes_may_become_fewer_while_events_are_on_their_way(
    cluster: Cluster, start_on: StartOn, database_url: str
) -> None:
    """The worker of the new lanes comes while that of the old ones works, which is killed then."""
    old = start_on("worker", cluster, lanes=4)
    async with opened(database_url, cluster.nodes[0].url) as outbox:
        load = Load(outbox)
        async with load.under_way():
            await load.consumed(60)
            new = start_on("worker", cluster, lanes=2)
            await eventually(lambda: metric(new.scraped(), "uniassist_delivery_consumed_total") > 30, "both work")
            await asyncio.to_thread(old.kill)
            await load.more(48)
        await outbox.all_consumed(deadline_seconds=40)
        assert (await outbox.pool.fetchval("SELECT max(attempts) FROM outbox_events")) == 0
        streams = Streams(cluster, lanes=2)
        for session_id, count in load.written.items():
            found = await streams.session(session_id)
            assert found == sorted(set(found))
            assert found[-1] == count
        await streams.clients.aclose()
    assert metric(new.scraped(), "uniassist_delivery_shards") == 32
    assert metric(new.scraped(), "uniassist_delivery_out_of_order_total") == 0


async def version(url: str) -> str:
    async with connect(url) as redis:
        return str((await redis.info("server"))["redis_version"])


async def stats(database_url: str, redis_url: str) -> str:
    command = [sys.executable, "-m", "uniassist.cli.main", "outbox", "stats", "--json"]
    env = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "UNIASSIST_ENV": "test"}
    done = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    out, _ = await done.communicate()
    assert done.returncode == 0
    return out.decode()
