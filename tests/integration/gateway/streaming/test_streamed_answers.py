"""Streamed answers over real HTTP: what readers see while they come, and what is on the timeline in the end."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    Json,
    decoded,
    interaction,
    interactions,
    message,
    refused,
    run_states,
    unique,
)
from tests.integration.gateway.sse import follow
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.contracts.streaming import JSON_OR_STREAM
from uniassist.web.calling import sse


async def say(gateway: GatewayClient, text: str, **changed: object) -> tuple[str, str]:
    """The session and the run of a message."""
    sent = message(text, **changed)
    ack = await gateway.ingest(sent)
    return ack["sessionId"], ack["runs"][0]["runId"]


def texts(events: list[Json], run_id: str) -> list[str]:
    return [each["text"] for each in interactions(events, run_id)]


async def test_a_message_is_seen_while_it_is_written_and_kept_once(
    streaming: GatewayClient, streams: StreamingProvider
) -> None:
    session_id = unique("session")
    async with follow(streaming.url, session_id) as reader:
        _, run_id = await say(streaming, "calm d:m1:你好， d:m1:世界 e:m1:你好，世界！ end", sessionId=session_id)
        events = await streaming.when_over(session_id, run_id)
        await reader.until(lambda f: len(f.events) == len(events), "all events came")
    assert interactions(events, run_id) == [
        {"type": "assistant_message", "text": "你好，世界！", "messageId": "m1"}
    ]
    assert reader.events == events
    assert run_states(events, run_id) == ["pending", "completed"]
    assert JSON_OR_STREAM in streams.accepts


async def test_deltas_come_while_the_rest_is_still_to_be_said(
    streaming: GatewayClient, streams: StreamingProvider
) -> None:
    """Also to who attaches in the middle: first the text so far."""
    streams.let_go.clear()
    session_id = unique("session")
    async with follow(streaming.url, session_id) as early:
        _, run_id = await say(streaming, "calm d:m1:one_ d:m1:two_ wait d:m1:three end", sessionId=session_id)
        await early.until(lambda f: f.shown == ["one two "], "the text so far")
        assert run_states(await streaming.timeline(session_id), run_id) == ["pending"]
        async with follow(streaming.url, session_id, cursor=len(early.events)) as late:
            await late.until(lambda f: f.shown == ["one two "], "the text so far, to who comes late")
            assert [delta["offset"] for delta in late.deltas] == [0]
            streams.let_go.set()
            events = await streaming.when_over(session_id, run_id)
            for reader in (early, late):
                await reader.until(lambda f: f.events[-1:] == events[-1:], "all events came")
                assert reader.finished == {(run_id, "m1"): "one two three"}
    assert early.begun == [(run_id, "m1")]
    delta = early.deltas[0]
    assert (delta["sessionId"], delta["runId"], delta["messageId"]) == (session_id, run_id, "m1")


async def test_deltas_alone_are_a_message_at_the_end(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm d:a:first d:b:second d:a:_more m:between end")
    events = await streaming.when_over(session_id, run_id)
    assert texts(events, run_id) == ["between", "first more", "second"]
    assert [each.get("messageId") for each in interactions(events, run_id)] == [None, "a", "b"]


async def test_events_are_on_the_timeline_before_the_end(
    streaming: GatewayClient, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    session_id, run_id = await say(streaming, "calm m:soon wait m:later end")

    async def soon() -> bool:
        return texts(await streaming.timeline(session_id), run_id) == ["soon"]

    await eventually(soon, "the first event is kept")
    streams.let_go.set()
    assert texts(await streaming.when_over(session_id, run_id), run_id) == ["soon", "later"]


async def test_what_comes_after_the_end_is_not_heard(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm m:said end d:m1:late m:late")
    events = await streaming.when_over(session_id, run_id)
    assert (texts(events, run_id), run_states(events, run_id)[-1]) == (["said"], "completed")


async def test_an_interaction_is_streamed_as_well(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm m:choose end")
    await streaming.when_over(session_id, run_id)
    asked = interaction(
        session_id, "go", providerId="calm", runId=run_id, payload={"text": "d:m2:cho d:m2:sen end"}
    )
    assert decoded(await streaming.post("/v0/interact", asked)) == {"accepted": True}

    async def answered() -> bool:
        return texts(await streaming.timeline(session_id), run_id) == ["choose", "chosen"]

    await eventually(answered, "the interaction is answered")


async def test_a_provider_may_answer_with_json_though_it_could_stream(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm json")
    assert texts(await streaming.when_over(session_id, run_id), run_id) == ["as json"]


async def test_the_end_gives_the_floor(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm m:when? expects")
    await streaming.when_over(session_id, run_id)
    _, second = await say(streaming, "m:noted end", sessionId=session_id)
    events = await streaming.when_over(session_id, second)
    assert texts(events, second) == ["noted"]
    reasons = [e["payload"]["candidates"][0]["reason"] for e in events if e["kind"] == "routing_decision"]
    assert reasons[-1] == f"continues {run_id}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("calm d:m1:some cut", []),
        ("calm m:kept d:m1:some cut", ["kept"]),
        ("calm raw:half cut", []),
        ("calm raw:garbage", []),
        ("calm raw:not-json", []),
        ("calm raw:not-utf8", []),
        ("calm raw:unknown", []),
        ("calm raw:no-text", []),
        ("calm raw:no-event", []),
        ("calm raw:huge x:", []),
        ("calm lies m:unheard end", []),
        ("calm raw:as-json cut", []),
        ("calm zipped m:unheard end", []),
        ("calm flood:m1 x:", []),
        ("calm e:m1:whole d:m1:after x:", ["whole"]),
        ("calm e:m1:whole e:m1:again x:", ["whole"]),
        ("calm d:1:. d:2:. d:3:. d:4:. d:5:. d:6:. d:7:. d:8:. d:9:. x:", []),
        ("hasty d:m1:some x:", []),
        ("hasty raw:slow-frame x:", []),
        ("brief beat:", []),
        ("brief drip:m1", []),
    ],
)
async def test_a_bad_stream_fails_its_run_and_no_other(
    streaming: GatewayClient, text: str, kept: list[str]
) -> None:
    session_id = unique("session")
    async with follow(streaming.url, session_id) as reader:
        _, run_id = await say(streaming, text, sessionId=session_id)
        _, other = await say(streaming, "calm d:m1:well end", sessionId=session_id)
        events = await streaming.when_over(session_id, run_id)
        assert run_states(events, run_id) == ["pending", "failed"]
        said = [event for event in events if event["kind"] == "interaction" and event["runId"] == run_id]
        assert [e["payload"]["event"]["text"] for e in said if e["payload"]["source"] == "provider"] == kept
        assert [e["payload"]["source"] for e in said][-1] == "fallback"
        events = await streaming.when_over(session_id, other)
        assert texts(events, other) == ["well"]
        await reader.until(lambda f: len(f.events) >= len(events), "all events came")


async def test_a_comment_is_a_sign_of_life(streaming: GatewayClient, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    session_id, run_id = await say(streaming, "hasty d:m1:patience wait end")
    await asyncio.sleep(0.8)  # longer than its silence may be: what is waited for is that nothing happens
    streams.let_go.set()
    assert texts(await streaming.when_over(session_id, run_id), run_id) == ["patience"]


async def test_cancelling_hangs_up_on_the_provider(streaming: GatewayClient, streams: StreamingProvider) -> None:
    session_id = unique("session")
    async with follow(streaming.url, session_id) as reader:
        _, run_id = await say(streaming, "calm drip:m1", sessionId=session_id)
        await reader.until(lambda f: len(f.deltas) >= 2, "it writes")
        await cancel(streaming, session_id, run_id)
        await eventually(lambda: run_id in streams.hung_up, "the provider was hung up on", 5)
        count = len(reader.deltas)
        _, other = await say(streaming, "calm d:m1:next end", sessionId=session_id)
        events = await streaming.when_over(session_id, other)
        await reader.until(lambda f: len(f.events) == len(events), "all events came")
        assert {each["runId"] for each in reader.deltas[count + 2 :]} <= {other}
    assert run_states(events, run_id) == ["pending", "cancelled"]
    assert interactions(events, run_id) == []


async def test_cancelling_stops_the_answer_to_an_interaction(
    streaming: GatewayClient, streams: StreamingProvider
) -> None:
    """The run itself ended before, and stays so: it can be asked anew. Nothing under way can't be cancelled."""
    session_id, run_id = await say(streaming, "calm m:choose end")
    await streaming.when_over(session_id, run_id)
    asked = {"schemaVersion": "v0", "traceId": "t", "sessionId": session_id, "userId": "user-1", "timestampMs": 1}
    refused(await streaming.post(f"/v0/runs/{run_id}/cancel", asked), 400, "INVALID_REQUEST")

    def going_on(text: str) -> Json:
        return interaction(session_id, unique("go"), providerId="calm", runId=run_id, payload={"text": text})

    async with follow(streaming.url, session_id) as reader:
        assert (await streaming.post("/v0/interact", going_on("m:first drip:m2"))).status == 200
        await reader.until(lambda f: len(f.deltas) >= 2, "it writes")
        await cancel(streaming, session_id, run_id)
        await eventually(lambda: run_id in streams.hung_up, "the provider was hung up on", 5)
        assert (await streaming.post("/v0/interact", going_on("d:m3:an d:m3:ew end"))).status == 200

        async def answered() -> bool:
            return texts(await streaming.timeline(session_id), run_id) == ["choose", "first", "anew"]

        await eventually(answered, "the next interaction is answered")
    assert run_states(await streaming.timeline(session_id), run_id) == ["pending", "completed", "completed"]
    refused(await streaming.post(f"/v0/runs/{run_id}/cancel", asked), 400, "INVALID_REQUEST")


async def cancel(gateway: GatewayClient, session_id: str, run_id: str) -> None:
    asked = {
        "schemaVersion": "v0",
        "traceId": unique("cancel"),
        "sessionId": session_id,
        "userId": "user-1",
        "timestampMs": 1,
    }
    answer = await gateway.post(f"/v0/runs/{run_id}/cancel", asked)
    assert answer.status == 200, answer.body


async def test_deltas_are_on_no_timeline(
    streaming: GatewayClient, streams: StreamingProvider, database: psycopg.Connection
) -> None:
    streams.let_go.clear()
    session_id = unique("session")
    async with follow(streaming.url, session_id) as reader:
        _, run_id = await say(streaming, "calm d:m1:unheard-of_ wait d:m1:end end", sessionId=session_id)
        await reader.until(lambda f: bool(f.deltas), "it writes")
        found = database.execute(
            "SELECT count(*) FROM timeline_events WHERE session_id = %s AND kind = 'interaction'", [session_id]
        ).fetchone()
        assert found == (0,)
        streams.let_go.set()
        await streaming.when_over(session_id, run_id)


async def test_somebody_elses_interaction_changes_nothing(streaming: GatewayClient) -> None:
    session_id, run_id = await say(streaming, "calm m:said end")
    asked = interaction(session_id, "go", providerId="calm", runId=run_id, userId="mallory")
    refused(await streaming.post("/v0/interact", asked), 404, "SESSION_NOT_FOUND")


async def test_who_reads_slowly_holds_nobody_up(streaming: GatewayClient) -> None:
    """Of a reader that takes nothing at all the gateway keeps how far it is, and no text."""
    session_id = unique("session")
    host, port = streaming.url.removeprefix("http://").split(":")
    _, stuck = await asyncio.open_connection(host, int(port), limit=1)
    stuck.write(f"GET /v0/stream?sessionId={session_id} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    try:
        async with follow(streaming.url, session_id) as reader:
            _, run_id = await say(streaming, "calm long:90 end", sessionId=session_id)
            events = await streaming.when_over(session_id, run_id)
            await reader.until(lambda f: f.events == events, "all events came")
            [whole] = texts(events, run_id)
            assert len(whole) == 90_000
            assert all(whole.startswith(text) for text in reader.shown)
    finally:
        stuck.close()


async def test_our_own_client_follows_past_deltas(streaming: GatewayClient, streams: StreamingProvider) -> None:
    """And so does any that doesn't know the name."""
    streams.let_go.clear()
    session_id, run_id = await say(streaming, "calm d:m1:some wait d:m1:_more end")
    seen: list[str] = []
    async with asyncio.timeout(20):
        async for event in sse.follow(streaming.url, session_id, reconnect=False):
            seen.append(event.kind)
            if event.seq == 3:
                streams.let_go.set()
            if event.kind == "provider_run" and len(seen) > 3:
                break
    assert len(seen) == len(await streaming.when_over(session_id, run_id))
