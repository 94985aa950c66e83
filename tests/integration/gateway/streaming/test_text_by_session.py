"""Several gateways: of text that is written, each hears what its readers follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from redis import Redis as Plain
from tests.chaos.proxy import Direction, proxied
from tests.integration.gateway.client import GatewayClient, unique
from tests.integration.gateway.sse import follow
from tests.integration.gateway.streaming.conftest import when_looked_at
from tests.integration.gateway.streaming.test_streamed_answers import say
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

Start = Callable[..., ServiceProcess]


class Told:
    """What Redis told a gateway."""

    def __init__(self) -> None:
        self.said = bytearray()

    def tap(self, _number: int, direction: Direction, chunk: bytes) -> bool:
        if direction == "reply":
            self.said += chunk
        return False


async def test_a_gateway_without_readers_is_told_nothing_of_it(
    streaming: GatewayClient, service: Start, streaming_env: Mapping[str, str], streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    readers, idle = Told(), Told()
    port = urlsplit(streaming_env["REDIS_URL"]).port
    assert port is not None
    async with proxied(port) as to_readers, proxied(port) as to_idle:
        to_readers.tap, to_idle.tap = readers.tap, idle.tap
        urls = []
        for proxy in (to_readers, to_idle):
            redis_url = streaming_env["REDIS_URL"].replace(f":{port}", f":{proxy.port}")
            urls.append((service("gateway", **{**streaming_env, "REDIS_URL": redis_url})).url)
            await when_looked_at(streaming.http, urls[-1])
        session_id = unique("session")
        text = "calm " + " ".join(f"d:m1:text{number}_" for number in range(20)) + " wait e:m1:whole end"
        shown = "".join(f"text{number} " for number in range(20))
        async with follow(urls[0], session_id) as early:
            _, run_id = await say(streaming, text, sessionId=session_id)
            await early.until(lambda f: f.shown == [shown], "it is shown where it is followed")
            async with follow(urls[0], session_id) as late:
                await late.until(lambda f: f.shown == [shown], "the same, from this gateway's board")
            assert b"text19" in readers.said
            assert b"text" not in idle.said, "nobody follows it here"
            async with follow(urls[1], session_id) as there:
                await there.until(lambda f: f.shown == [shown], "who comes in the middle has the text so far")
                assert idle.said.count(b"text19") == 1, "it was asked for once, and told once"
            with Plain.from_url(streaming_env["REDIS_URL"]) as redis:
                name = f"uniassist:timeline:moved:{session_id}"
                await eventually(lambda: redis.pubsub_numsub(name)[0][1] == 1, "it isn't heard there any more")
            async with follow(urls[1], session_id) as again:
                await again.until(lambda f: f.shown == [shown], "who comes back has it too")
                streams.let_go.set()
                events = await streaming.when_over(session_id, run_id)
                for reader in (early, again):
                    await reader.until(lambda f: f.events == events, "all events came")
                    assert reader.finished == {(run_id, "m1"): "whole"}


async def test_text_goes_on_after_its_readers_gateway_was_cut_off(
    streaming: GatewayClient, service: Start, streaming_env: Mapping[str, str], streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    port = urlsplit(streaming_env["REDIS_URL"]).port
    assert port is not None
    async with proxied(port) as proxy:
        redis_url = streaming_env["REDIS_URL"].replace(f":{port}", f":{proxy.port}")
        url = service("gateway", **{**streaming_env, "REDIS_URL": redis_url}).url
        await when_looked_at(streaming.http, url)
        session_id = unique("session")
        async with follow(url, session_id) as reader:
            _, run_id = await say(
                streaming, "calm d:m1:one_ wait d:m1:two_ d:m1:three e:m1:whole end", sessionId=session_id
            )
            await reader.until(lambda f: f.shown == ["one "], "the text so far")
            proxy.cut()
            async with follow(url, session_id) as late:
                await late.until(lambda f: f.shown == ["one "], "it is on the board")
            streams.let_go.set()
            events = await streaming.when_over(session_id, run_id)
            await reader.until(lambda f: f.events == events, "all events came")
        await asyncio.to_thread(streams.let_go.clear)
        async with follow(url, session_id, cursor=events[-1]["seq"]) as reader:
            _, run_id = await say(streaming, "calm d:m2:four_ wait e:m2:five end", sessionId=session_id)
            await reader.until(lambda f: f.shown == ["four "], "text crosses again")
            streams.let_go.set()
