"""Streamed answers with several gateways: deltas cross, a killed one's run is taken over, Redis may be away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tests.integration.gateway.client import GatewayClient, interactions, message, run_states, unique
from tests.integration.gateway.sse import follow
from tests.integration.gateway.streaming.conftest import when_looked_at
from tests.integration.gateway.streaming.test_streamed_answers import cancel, say, texts
from tests.ports import free_port
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

Start = Callable[..., ServiceProcess]


async def test_readers_at_another_gateway_see_the_same(
    streaming: GatewayClient, second: GatewayClient, streams: StreamingProvider
) -> None:
    """Also one that comes in the middle; and who cancels there hangs up here."""
    streams.let_go.clear()
    session_id = unique("session")
    async with follow(second.url, session_id) as early:
        _, run_id = await say(
            streaming, "calm d:m1:one_ wait d:m1:two d:m1:_three e:m1:whole end", sessionId=session_id
        )
        await early.until(lambda f: f.shown == ["one "], "the text so far")
        async with follow(second.url, session_id) as late:
            await late.until(lambda f: f.shown == ["one "], "the text so far, to who comes late")
            streams.let_go.set()
            events = await second.when_over(session_id, run_id)
            for reader in (early, late):
                await reader.until(lambda f: f.events == events, "all events came")
                assert reader.finished == {(run_id, "m1"): "whole"}
        _, run_id = await say(streaming, "calm drip:m2", sessionId=session_id)
        await early.until(lambda f: len(f.texts) == 2, "it writes")
        await cancel(second, session_id, run_id)
        await eventually(lambda: run_id in streams.hung_up, "the provider was hung up on", 5)
    assert run_states(await second.timeline(session_id), run_id) == ["pending", "cancelled"]


async def test_after_a_kill_the_text_begins_anew_and_no_event_is_twice(
    streaming: GatewayClient, service: Start, streaming_env: Mapping[str, str], streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    victim = service("gateway", **streaming_env)
    await when_looked_at(streaming.http, victim.url)
    session_id = unique("session")
    async with follow(streaming.url, session_id) as reader:
        doomed = GatewayClient(streaming.http, victim.url)
        text = "calm d:m0:a e:m0:first m:second d:m1:some_ wait d:m1:more end"
        _, run_id = await say(doomed, text, sessionId=session_id)
        await reader.until(lambda f: f.texts.get((run_id, "m1")) == "some ", "it writes")
        await asyncio.to_thread(victim.kill)
        await eventually(lambda: streams.attempts[run_id] == 2, "another gateway took it over", 90)
        await reader.until(lambda f: f.begun.count((run_id, "m1")) == 2, "the text began anew")
        assert f"attempt {streams.calls[-1]['run']['attempt']}" == "attempt 2"
        streams.let_go.set()
        events = await streaming.when_over(session_id, run_id)
        await reader.until(lambda f: f.events == events, "all events came")
        assert reader.begun.count((run_id, "m0")) <= 1, "nothing is shown again of what is kept"
    assert texts(events, run_id) == ["first", "second", "some more"]
    assert run_states(events, run_id) == ["pending", "completed"]


async def test_with_redis_away_nothing_is_missing_but_deltas(
    service: Start, streaming_env: Mapping[str, str], http: JsonClient, database_url: str
) -> None:
    env = dict(streaming_env) | {"DATABASE_URL": database_url, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    one, other = (service("gateway", **env) for _ in range(2))
    await when_looked_at(http, one.url)
    gateway, session_id = GatewayClient(http, one.url), unique("session")
    async with follow(one.url, session_id) as here, follow(other.url, session_id) as there:
        ack = await gateway.ingest(message("calm story:6 end", sessionId=session_id))
        events = await gateway.when_over(session_id, ack["runs"][0]["runId"])
        for reader in (here, there):
            await reader.until(lambda f: f.events == events, "all events came")
        assert len(interactions(events)) == 2
        assert here.deltas, "at the gateway itself they need no Redis"
        assert there.deltas == []
