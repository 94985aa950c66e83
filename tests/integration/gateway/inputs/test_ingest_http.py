"""An input over HTTP: durable before the answer, in the contract's order, and once for one key."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest
from tests.integration.gateway.client import (
    DAY_MS,
    GatewayClient,
    interactions,
    message,
    now_ms,
    refused,
    seqs,
    unique,
)

from uniassist.contracts import codec
from uniassist.contracts.inputs import IngestAck, RoutingDecision
from uniassist.contracts.timeline import (
    InboundPayload,
    InteractionPayload,
    ProviderRunPayload,
    TimelineEvent,
    TimelinePage,
)


async def test_what_is_acknowledged_is_in_the_database(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    sent = message("帮我做个计划")
    answer = await gateway.post("/v0/ingest", sent)
    ack = codec.decode(answer.body, IngestAck)
    # no wait: the answer came after the commit
    kinds = database.execute(
        "SELECT kind, seq, trace_id FROM timeline_events WHERE session_id = %s AND seq <= 3 ORDER BY seq",
        (sent["sessionId"],),
    ).fetchall()
    trace_id = sent["traceId"]
    assert kinds == [
        ("inbound", 1, trace_id),
        ("routing_decision", 2, trace_id),
        ("provider_run", 3, trace_id),
    ]
    run = database.execute(
        "SELECT provider_id, idempotency_key FROM provider_runs WHERE run_id = %s", (ack.runs[0].run_id,)
    ).fetchone()
    assert run == ("plan", f"{trace_id}:plan")
    assert _without_outbox_row(database, sent["sessionId"]) == 0
    session = database.execute(
        "SELECT user_id, seq >= 3 FROM sessions WHERE session_id = %s", (sent["sessionId"],)
    ).fetchone()
    assert session == ("user-1", True)


async def test_the_ack_says_what_was_sent_and_where_to_follow(gateway: GatewayClient) -> None:
    sent = message("你好", sessionId=unique("会话 /?&#"))
    ack = await gateway.ingest(sent)
    assert {name: ack[name] for name in ("schemaVersion", "traceId", "sessionId", "userId")} == {
        name: sent[name] for name in ("schemaVersion", "traceId", "sessionId", "userId")
    }
    assert ack["stream"]["type"] == "sse"
    assert ack["stream"]["cursor"] == 0
    href = urlsplit(ack["stream"]["href"])
    assert href.path == "/v0/stream"
    assert parse_qs(href.query) == {"sessionId": [sent["sessionId"]], "cursor": ["0"]}
    second = await gateway.ingest(message("再见", sessionId=sent["sessionId"]))
    cursor = second["stream"]["cursor"]
    after = await gateway.timeline(quote(sent["sessionId"]), cursor)
    assert after[0]["kind"] == "inbound"
    assert after[0]["payload"]["input"]["text"] == "再见"


async def test_builtin_chat_answers_what_no_provider_is_for(gateway: GatewayClient) -> None:
    sent = message("你好", locale="en-GB")
    ack = await gateway.ingest(sent)
    assert ack["routing"]["fallback"] == "builtin_chat"
    assert ack["routing"]["candidates"] == []
    assert [run["providerId"] for run in ack["runs"]] == ["builtin_chat"]
    events = await gateway.timeline(sent["sessionId"])
    assert [event["kind"] for event in events] == ["inbound", "routing_decision", "provider_run", "interaction"]
    assert events[2]["payload"]["routing_mode"] == "fallback"
    said = interactions(events, ack["runs"][0]["runId"])
    assert said[0]["text"].startswith("Hello, I am UniAssist")
    assert said == [event for event in ack["ackEvents"] if event["type"] == "assistant_message"]


async def test_two_selected_providers_both_run_and_the_choice_is_offered(gateway: GatewayClient) -> None:
    sent = message("项目计划")
    ack = await gateway.ingest(sent)
    assert sorted(run["providerId"] for run in ack["runs"]) == ["plan", "work"]
    assert ack["routing"]["requiresUserConfirmation"] is True
    for run in ack["runs"]:
        events = await gateway.when_over(sent["sessionId"], run["runId"])
        assert interactions(events, run["runId"])[-1]["text"] == "来自服务：项目计划"
    kinds = [event["kind"] for event in events[:5]]
    assert kinds == ["inbound", "routing_decision", "provider_run", "provider_run", "interaction"]
    offered = events[4]["payload"]["event"]
    assert offered["type"] == "request_clarification"
    assert {choice["key"] for choice in offered["choices"]} == {"switch_provider:plan", "switch_provider:work"}
    assert seqs(events) == list(range(1, len(events) + 1))


async def test_a_provider_without_an_address_routes_and_says_so(gateway: GatewayClient) -> None:
    sent = message("提醒我")
    ack = await gateway.ingest(sent)
    run_id = ack["runs"][0]["runId"]
    events = await gateway.when_over(sent["sessionId"], run_id)
    assert ack["runs"][0]["providerId"] == "reminder"
    assert "“reminder”尚未接入" in str(interactions(events))


PAYLOADS: dict[str, type] = {
    "inbound": InboundPayload,
    "routing_decision": RoutingDecision,
    "provider_run": ProviderRunPayload,
    "interaction": InteractionPayload,
}


async def test_every_event_has_the_contracts_payload(gateway: GatewayClient) -> None:
    sent = message("项目计划提醒", attachments=[{"id": "a", "type": "image", "width": 3}])
    ack = await gateway.ingest(sent)
    for run in ack["runs"]:
        events = await gateway.when_over(sent["sessionId"], run["runId"])
    assert {event["kind"] for event in events} == set(PAYLOADS)
    for event in events:
        assert codec.convert(event, TimelineEvent).kind == event["kind"]
        codec.decode(codec.encode(event["payload"]), PAYLOADS[event["kind"]])
        assert event["userId"] == "user-1"
    runs = [event for event in events if event["kind"] == "provider_run"]
    assert {event["payload"]["idempotency_key"] for event in runs} == {
        f"{sent['traceId']}:plan",
        f"{sent['traceId']}:work",
    }
    assert events[1]["payload"] == ack["routing"]


async def test_the_timeline_is_read_in_pages_by_cursor(gateway: GatewayClient) -> None:
    session_id = unique("paged")
    for _ in range(3):
        await gateway.ingest(message("你好", sessionId=session_id))
    answer = await gateway.get(f"/v0/timeline?sessionId={session_id}&cursor=5")
    page = codec.decode(answer.body, TimelinePage)
    assert [event.seq for event in page.events] == list(range(6, 13))
    assert page.next_cursor == 12
    rest = codec.decode((await gateway.get(f"/v0/timeline?sessionId={session_id}&cursor=12")).body, TimelinePage)
    assert (rest.events, rest.next_cursor) == ([], 12)


async def test_a_page_of_long_texts_ends_early_and_the_next_goes_on(gateway: GatewayClient) -> None:
    session_id, texts = unique("long"), [f"{number}" * 300_000 for number in range(4)]
    for text in texts:
        await gateway.ingest(message(text, sessionId=session_id))
    cursor, pages = 0, list[TimelinePage]()
    while not pages or pages[-1].events:
        answer = await gateway.get(f"/v0/timeline?sessionId={session_id}&cursor={cursor}")
        pages.append(codec.decode(answer.body, TimelinePage))
        cursor = pages[-1].next_cursor
    events = [event for page in pages for event in page.events]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.payload["input"]["text"] for event in events if event.kind == "inbound"] == texts
    assert len(pages) > 2


async def test_the_timeline_of_an_unknown_session_is_empty(gateway: GatewayClient) -> None:
    assert await gateway.timeline(unique("unknown")) == []


async def test_one_key_makes_one_input_however_often_it_is_sent(gateway: GatewayClient) -> None:
    sent, headers = message("你好"), {"idempotency-key": unique("key")}
    answers = await asyncio.gather(*(gateway.post("/v0/ingest", sent, headers) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert (await gateway.post("/v0/ingest", sent, headers)).body == answers[0].body
    events = await gateway.timeline(sent["sessionId"])
    assert [event["kind"] for event in events].count("inbound") == 1


async def test_a_key_used_for_another_body_is_refused_and_writes_nothing(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    headers, session_id = {"idempotency-key": unique("key")}, unique("other")
    first = message("你好")
    await gateway.ingest(first, headers)
    answer = await gateway.post("/v0/ingest", first | {"sessionId": session_id}, headers)
    refused(answer, 422, "IDEMPOTENCY_CONFLICT", "Idempotency-Key")
    assert await gateway.timeline(session_id) == []
    assert database.execute("SELECT 1 FROM sessions WHERE session_id = %s", (session_id,)).fetchall() == []


async def test_a_key_belongs_to_its_user(gateway: GatewayClient) -> None:
    headers = {"idempotency-key": unique("key")}
    mine = await gateway.ingest(message("你好", userId=unique("user")), headers)
    other = await gateway.ingest(message("你好", userId=unique("user")), headers)
    assert mine["runs"] != other["runs"]


@pytest.mark.parametrize("key", ["", " ", "k" * 256])
async def test_a_key_that_is_empty_or_long_is_refused(gateway: GatewayClient, key: str) -> None:
    answer = await gateway.post("/v0/ingest", message(), {"idempotency-key": key})
    refused(answer, 400, "INVALID_REQUEST", "dempotency-")


async def test_a_channels_triple_push_is_one_input(gateway: GatewayClient) -> None:
    pushed = message("你好", channel={"id": "gh_1", "type": "wechat", "messageId": unique("msg")})
    acks = [await gateway.ingest(pushed | {"timestampMs": now_ms() + n}) for n in range(3)]
    assert acks[0] == acks[1] == acks[2]
    assert len(await gateway.timeline(pushed["sessionId"])) == 4
    another = await gateway.ingest(pushed | {"channel": {"id": "gh_1", "messageId": unique("msg")}})
    assert another["stream"]["cursor"] == 4


async def test_a_pause_of_more_than_a_day_starts_a_new_session_that_the_old_id_leads_to(
    gateway: GatewayClient,
) -> None:
    first = message("你好", timestampMs=now_ms() - DAY_MS - 60_000)
    old_id = (await gateway.ingest(first))["sessionId"]
    ack = await gateway.ingest(message("又来了", sessionId=old_id))
    assert ack["sessionId"].startswith(old_id)
    assert ack["sessionId"] != old_id
    assert ack["stream"]["cursor"] == 0
    assert any("24" in event.get("message", "") for event in ack["ackEvents"] if event["type"] == "ack")
    again = await gateway.ingest(message("还是旧编号", sessionId=old_id))
    assert again["sessionId"] == ack["sessionId"]
    assert len(await gateway.timeline(old_id)) == 4
    texts = [
        event["payload"]["input"]["text"]
        for event in await gateway.timeline(ack["sessionId"])
        if event["kind"] == "inbound"
    ]
    assert texts == ["又来了", "还是旧编号"]


async def test_a_pause_of_a_day_is_not_yet_idle(gateway: GatewayClient) -> None:
    at_ms = now_ms()
    old_id = (await gateway.ingest(message("你好", timestampMs=at_ms - DAY_MS)))["sessionId"]
    assert (await gateway.ingest(message("你好", sessionId=old_id, timestampMs=at_ms)))["sessionId"] == old_id


async def test_a_clock_that_runs_ahead_does_not_make_a_session_idle(gateway: GatewayClient) -> None:
    old_id = (await gateway.ingest(message("你好")))["sessionId"]
    ahead = message("你好", sessionId=old_id, timestampMs=now_ms() + 30 * DAY_MS)
    assert (await gateway.ingest(ahead))["sessionId"] == old_id
    assert (await gateway.ingest(message("你好", sessionId=old_id)))["sessionId"] == old_id


@pytest.mark.parametrize("at_ms", [-(2**63), -1, 0, 2**63 - 1])
async def test_any_clock_is_taken(gateway: GatewayClient, at_ms: int) -> None:
    sent = message("你好", timestampMs=at_ms)
    await gateway.ingest(sent)
    events = await gateway.timeline(sent["sessionId"])
    assert events[0]["payload"]["input"]["timestampMs"] == at_ms


def _without_outbox_row(database: psycopg.Connection, session_id: str) -> int:
    row = database.execute(
        "SELECT count(*) FROM timeline_events t WHERE t.session_id = %s"
        " AND NOT EXISTS (SELECT 1 FROM outbox_events o WHERE o.event_id = t.event_id)",
        (session_id,),
    ).fetchone()
    assert row is not None
    return int(row[0])
