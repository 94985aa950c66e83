"""Event streams: history, then live, each event once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
from redis import Redis
from tests.integration.gateway.client import GatewayClient, interaction, message, unique
from tests.integration.gateway.sse import follow
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.devstack.redis import EmbeddedRedis
from uniassist.gateway import event_streams

Start = Callable[..., ServiceProcess]
Connect = Callable[[ServiceProcess], GatewayClient]


async def test_history_then_live_while_inputs_arrive(gateway: GatewayClient) -> None:
    session_id = unique("live")
    for _ in range(10):
        await gateway.ingest(message("你好", sessionId=session_id))
    arriving = [asyncio.create_task(gateway.ingest(message(f"计划 {n}", sessionId=session_id))) for n in range(30)]
    async with follow(gateway.url, session_id) as one, follow(gateway.url, session_id, cursor=40) as other:
        acks = await asyncio.gather(*arriving)
        for ack in acks:
            events = await gateway.when_over(session_id, ack["runs"][0]["runId"])
        await one.until(lambda f: len(f.events) >= len(events), "everything came")
        await other.until(lambda f: len(f.events) >= len(events) - 40, "everything came to the other")
    assert one.seqs == list(range(1, len(events) + 1))
    assert other.seqs == one.seqs[40:]
    assert one.events == events


async def test_a_long_history_comes_whole(gateway: GatewayClient) -> None:
    session_id = unique("history")
    await asyncio.gather(*(gateway.ingest(message("你好", sessionId=session_id)) for _ in range(150)))
    async with follow(gateway.url, session_id) as follower:
        await follower.until(lambda f: len(f.events) >= 600, "the history came")
        await gateway.ingest(message("再见", sessionId=session_id))
        await follower.until(lambda f: len(f.events) >= 604, "and what is live")
    assert follower.seqs == list(range(1, 605))


async def test_the_last_event_id_beats_the_cursor(gateway: GatewayClient) -> None:
    session_id = unique("resumed")
    for _ in range(2):
        await gateway.ingest(message("你好", sessionId=session_id))
    async with follow(gateway.url, session_id, cursor=0, last_event_id=6) as follower:
        await follower.until(lambda f: f.seqs == [7, 8], "what followed the last event")
    async with follow(gateway.url, session_id, cursor=8, last_event_id=0) as follower:
        await follower.until(lambda f: len(f.events) == 8, "all of it")


async def test_a_reader_that_comes_back_with_its_last_id_misses_nothing(gateway: GatewayClient) -> None:
    session_id = unique("dropping")
    seen: list[int] = []
    for _ in range(5):
        ack = await gateway.ingest(message("计划", sessionId=session_id))
        async with follow(gateway.url, session_id, last_event_id=seen[-1] if seen else 0) as follower:
            await follower.until(lambda f: len(f.events) >= 2, "something came")
        seen += follower.seqs
    events = await gateway.when_over(session_id, ack["runs"][0]["runId"])
    async with follow(gateway.url, session_id, last_event_id=seen[-1]) as follower:
        await follower.until(lambda f: [*seen, *f.seqs][-1] == len(events), "the rest came")
    assert [*seen, *follower.seqs] == list(range(1, len(events) + 1))


async def test_a_client_may_follow_before_its_first_input(gateway: GatewayClient) -> None:
    session_id = unique("early")
    async with follow(gateway.url, session_id) as follower:
        assert follower.events == []
        ack = await gateway.ingest(message("你好", sessionId=session_id))
        await follower.until(lambda f: len(f.events) == 4, "its first input came")
    assert follower.events[0]["traceId"] == ack["traceId"]


async def test_following_the_acks_href_shows_all_that_the_input_caused(gateway: GatewayClient) -> None:
    session_id = unique("href")
    await gateway.ingest(message("你好", sessionId=session_id))
    ack = await gateway.ingest(message("计划", sessionId=session_id))
    events = await gateway.when_over(session_id, ack["runs"][0]["runId"])
    async with follow(gateway.url, session_id, cursor=ack["stream"]["cursor"]) as follower:
        await follower.until(lambda f: len(f.events) == len(events) - 4, "all of it came")
    assert {event["traceId"] for event in follower.events} == {ack["traceId"]}
    assert follower.events[0]["kind"] == "inbound"


async def test_a_frame_is_json_in_one_line_whatever_is_in_it(gateway: GatewayClient) -> None:
    text = "一行\n\n另一行\r\ndata: x\u2028\u2029\x85 \\n \u0001"
    sent = message(text)
    async with follow(gateway.url, sent["sessionId"]) as follower:
        await gateway.ingest(sent)
        await follower.until(lambda f: len(f.events) == 4, "it came")
    assert follower.events[0]["payload"]["input"]["text"] == text


async def test_an_event_from_elsewhere_wakes_the_stream(gateway: GatewayClient) -> None:
    """Interactions and what this gateway's own providers answer come without anyone's asking."""
    sent = message("你好")
    await gateway.ingest(sent)
    async with follow(gateway.url, sent["sessionId"], cursor=4) as follower:
        await gateway.post("/v0/interact", interaction(sent["sessionId"], "switch_provider:work"))
        await follower.until(lambda f: f.seqs == [5, 6], "the switch came", within_seconds=5)


async def test_the_other_gateways_commits_come_through_redis(
    service: Start, connect: Connect, database_url: str, own_redis: EmbeddedRedis
) -> None:
    """And while Redis is away, hung or gone, from Postgres within two seconds; after it is back, as before."""
    env = {"DATABASE_URL": database_url, "REDIS_URL": own_redis.url}
    reading = connect(service("gateway", **env))
    writing = connect(service("gateway", **env))
    service("worker", **env)
    session_id = unique("fanned-out")
    async with follow(reading.url, session_id) as follower:

        async def seconds_until_seen() -> float:
            wanted = len(follower.events) + 4
            await writing.ingest(message("你好你好", sessionId=session_id))
            began = time.monotonic()
            await follower.until(lambda f: len(f.events) >= wanted, "the input came", within_seconds=20)
            return time.monotonic() - began

        await seconds_until_seen()
        assert await seconds_until_seen() < 5.0, "only the next heartbeat showed it"
        own_redis.stop()
        for _ in range(2):
            assert await seconds_until_seen() < 2.0
        own_redis.start()
        await seconds_until_seen()
        with Redis.from_url(own_redis.url) as redis:
            redis.flushall()
        await seconds_until_seen()
        own_redis.process.pause()
        try:
            for _ in range(2):
                assert await seconds_until_seen() < 6.0
        finally:
            own_redis.process.resume()
        await seconds_until_seen()
    assert follower.seqs == list(range(1, len(follower.seqs) + 1))


async def test_the_other_gateways_commits_come_at_once_also_without_a_worker(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    env = {"DATABASE_URL": database_url, "REDIS_URL": shared_redis_url, "UNIASSIST_STREAM_PREFIX": unique("alone:")}
    reading, writing = connect(service("gateway", **env)), connect(service("gateway", **env))
    session_id = unique("no-worker")
    async with follow(reading.url, session_id) as follower:
        for turn in range(1, 6):
            await writing.ingest(message("你好", sessionId=session_id))
            within = event_streams.HEARTBEAT_SECONDS / 5
            await follower.until(lambda f, n=turn: len(f.events) >= 4 * n, "it came", within_seconds=within)  # type: ignore[misc]
    assert follower.seqs == list(range(1, 21))


async def test_streams_end_in_good_order_when_the_gateway_stops(
    service: Start, connect: Connect, database_url: str, shared_redis_url: str
) -> None:
    process = service("gateway", DATABASE_URL=database_url, REDIS_URL=shared_redis_url)
    client, session_id = connect(process), unique("stopping")
    async with follow(client.url, session_id) as one, follow(client.url, unique("idle")) as idle:
        await client.ingest(message("你好", sessionId=session_id))
        await one.until(lambda f: len(f.events) == 4, "the input came")
        began = time.monotonic()
        assert await asyncio.get_running_loop().run_in_executor(None, process.stop), process.process.last_lines()
        assert time.monotonic() - began < 10.0
        await one.until(lambda f: f.ended, "the stream ended")
        await idle.until(lambda f: f.ended, "the idle one too")
    assert process.process.exit_code == 0


async def test_readers_that_went_away_are_forgotten(gateway: GatewayClient) -> None:
    async def open_streams() -> float:
        scraped = (await gateway.get("/metrics")).body.decode()
        return float(scraped.split("\nuniassist_sse_connections ")[1].split("\n")[0])

    async def none_open() -> bool:
        return await open_streams() == 0

    await eventually(none_open, "the streams of other tests are closed")
    async with follow(gateway.url, unique("gone")), follow(gateway.url, unique("gone")):
        assert await open_streams() == 2
    await eventually(none_open, "these are closed")


async def test_a_reader_that_never_reads_holds_nothing_up(gateway: GatewayClient) -> None:
    session_id, text = unique("lagging"), "长" * 100_000
    async with (
        aiohttp.ClientSession(read_bufsize=2**10) as session,
        session.get(f"{gateway.url}/v0/stream", params={"sessionId": session_id}) as response,
        follow(gateway.url, session_id) as follower,
    ):
        for _ in range(20):
            await gateway.ingest(message(text, sessionId=session_id))
        await follower.until(lambda f: len(f.events) >= 80, "the other reader got everything")
        assert response.status == 200
