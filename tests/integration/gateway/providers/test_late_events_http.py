"""What providers and channels report later, and what they may read: tokens, scopes, each item once."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import psycopg
import pytest
from tests.integration.gateway.client import (
    DAY_MS,
    GatewayClient,
    Json,
    decoded,
    interactions,
    message,
    now_ms,
    provider_headers,
    refused,
    seqs,
    unique,
)

from uniassist.contracts import codec

EVENTS = "/v0/events"


def domain_event(user_id: str, **changed: object) -> Json:
    event = {
        "schemaVersion": "v0",
        "userId": user_id,
        "providerId": "work",
        "eventType": "reminder",
        "title": "该交周报了",
        "timestampMs": now_ms(),
    } | changed
    return {"kind": "domain_event", "event": event}


async def open_run(gateway: GatewayClient, text: str = "安排工作会议") -> tuple[Json, str]:
    """A session with a finished run of `work`, and the run's id."""
    sent = message(text, userId=unique("user"))
    runs = {run["providerId"]: run["runId"] for run in (await gateway.ingest(sent))["runs"]}
    for run_id in runs.values():
        await gateway.when_over(sent["sessionId"], run_id)
    return sent, runs["work"]


def late_interaction(sent: Json, run_id: str, text: str = "做好了", **changed: object) -> Json:
    return {
        "kind": "interaction",
        "traceId": sent["traceId"],
        "sessionId": sent["sessionId"],
        "userId": sent["userId"],
        "runId": run_id,
        "event": {"type": "assistant_message", "text": text},
        "timestampMs": now_ms(),
    } | changed


async def test_without_a_good_token_nothing_is_read_or_written(gateway: GatewayClient) -> None:
    body = {"schemaVersion": "v0", "providerId": "work", "events": [], "timestampMs": now_ms()}
    for headers in (
        {},
        provider_headers("*", token="a-wrong-token"),
        {"authorization": "Basic dGVzdA==", "x-provider-scopes": "*"},
        {"authorization": "Bearer", "x-provider-scopes": "*"},
    ):
        refused(await gateway.post(EVENTS, body, headers), 401, "INVALID_PROVIDER_TOKEN", "Authorization")
        context = await gateway.get("/v0/context/users/profile:u", headers)
        refused(context, 401, "INVALID_PROVIDER_TOKEN", "Authorization")


@pytest.mark.parametrize("scopes", ["", "events:write", "context", "context:reader", "CONTEXT:READ", None])
async def test_the_context_needs_its_scope_named(gateway: GatewayClient, scopes: str | None) -> None:
    answer = await gateway.get("/v0/context/users/profile:u", provider_headers(scopes))
    refused(answer, 403, "MISSING_SCOPE", "x-provider-scopes")


@pytest.mark.parametrize("scopes", ["context:read", "*", "a,context:read", "a context:read b", " a , context:read"])
async def test_the_context_is_read_with_its_scope(gateway: GatewayClient, scopes: str) -> None:
    user_id = unique("user")
    await gateway.ingest(message(userId=user_id, locale="zh-CN", timezone="Asia/Shanghai"))
    answer = await gateway.get(f"/v0/context/users/profile:{user_id}", provider_headers(scopes))
    assert answer.status == 200
    found = decoded(answer)
    assert set(found) == {"profile", "preferences", "consents", "updatedAt"}
    assert found["profile"] == {"userId": user_id}
    assert found["preferences"] == {"locale": "zh-CN", "timezone": "Asia/Shanghai"}
    assert abs(found["updatedAt"] - now_ms()) < 60_000


@pytest.mark.parametrize(
    "user_id", ["a/b", "/", "//a//", "50%", "%2F", "a:b", "王小明", "é?#&+ ;=", "line\nbreak\n", "😀" * 256]
)
async def test_the_context_of_any_user_is_found(gateway: GatewayClient, user_id: str) -> None:
    await gateway.ingest(message(userId=user_id, locale="zh-CN"))
    answer = await gateway.get(f"/v0/context/users/profile:{quote(user_id, safe='')}", provider_headers("*"))
    assert decoded(answer)["profile"] == {"userId": user_id}
    assert decoded(answer)["preferences"] == {"locale": "zh-CN"}


async def test_a_slash_in_a_user_id_needs_no_encoding(gateway: GatewayClient) -> None:
    answer = await gateway.get("/v0/context/users/profile:team/anna", provider_headers("*"))
    assert decoded(answer)["profile"] == {"userId": "team/anna"}


async def test_a_user_id_ends_at_its_length(gateway: GatewayClient) -> None:
    answer = await gateway.get(f"/v0/context/users/profile:{'u' * 257}", provider_headers("*"))
    refused(answer, 400, "INVALID_REQUEST", "profileRef")


@pytest.mark.parametrize("reference", ["profile:", "user:u", "u", "profile%3A", "profile:%00", "profile:%ff"])
async def test_a_profile_reference_has_its_form(gateway: GatewayClient, reference: str) -> None:
    answer = await gateway.get(f"/v0/context/users/{reference}", provider_headers("*"))
    refused(answer, 400, "INVALID_REQUEST", "profileRef")


async def test_a_snapshot_that_an_operator_wrote_is_given_as_far_as_it_goes(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    for snapshot, expected in (
        ('{"profile": {"name": "A"}, "preferences": {"x": 1}, "consents": {}, "note": "by hand"}', {"name": "A"}),
        ("{}", {}),
        ('{"profile": null}', {}),
    ):
        user_id = unique("user")
        database.execute(
            "INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)"
            " VALUES (%s, %s, %s, now() + interval '1 minute')",
            (f"profile:{user_id}", user_id, snapshot),
        )
        answer = await gateway.get(f"/v0/context/users/profile:{user_id}", provider_headers("context:read"))
        assert answer.status == 200
        assert decoded(answer)["profile"] == expected


async def test_a_scope_can_only_narrow_what_the_token_grants(gateway: GatewayClient) -> None:
    body = {"schemaVersion": "v0", "providerId": "work", "events": [], "timestampMs": now_ms()}
    refused(await gateway.post(EVENTS, body, provider_headers("context:read")), 403, "MISSING_SCOPE")
    for scopes in ("events:write", "*", "context:read events:write", None):
        answer = await gateway.post(EVENTS, body, provider_headers(scopes))
        assert (answer.status, decoded(answer)) == (200, {"schemaVersion": "v0", "accepted": 0, "rejected": 0})


async def test_a_late_answer_comes_onto_the_timeline(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    answer = await gateway.report(late_interaction(sent, run_id))
    assert decoded(answer) == {"schemaVersion": "v0", "accepted": 1, "rejected": 0}
    last = (await gateway.timeline(sent["sessionId"]))[-1]
    assert last["payload"] == {"event": {"type": "assistant_message", "text": "做好了"}, "source": "provider"}
    assert (last["providerId"], last["runId"], last["traceId"]) == ("work", run_id, sent["traceId"])


async def test_an_extension_is_referenced_by_its_schema(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    progress = {"progress": {"step": 1, "total": 3}}
    extension = {
        "type": "provider_extension",
        "extensionKind": "data_collection_progress",
        "payload": progress,
    }
    await gateway.report(late_interaction(sent, run_id, event=extension))
    last = (await gateway.timeline(sent["sessionId"]))[-1]
    assert last["extensionKind"] == "data_collection_progress"
    assert last["renderSchemaRef"] == "v0:work:data_collection_progress"
    assert last["payload"]["event"] == extension


async def test_a_bad_item_does_not_sink_the_others(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    good = [late_interaction(sent, run_id, f"第 {number} 条") for number in range(3)]
    incomplete = {"type": "provider_extension", "extensionKind": "data_collection_result", "payload": {}}
    items: list[object] = [
        good[0],
        late_interaction(sent, run_id, event={"type": "assistant_message"}),
        {"kind": "rumour"},
        "not even an object",
        good[1],
        late_interaction(sent, "run-none"),
        late_interaction(sent, run_id, userId="intruder"),
        late_interaction(sent, run_id, sessionId=unique("unknown")),
        domain_event(sent["userId"], eventType="gossip"),
        late_interaction(sent, run_id, event=incomplete),
        None,
        good[2],
    ]
    answer = await gateway.report(*items)  # type: ignore[arg-type]
    found = decoded(answer)
    assert (answer.status, found["accepted"], found["rejected"]) == (200, 3, 9)
    assert [error["index"] for error in found["errors"]] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    codes = {error["index"]: error["code"] for error in found["errors"]}
    assert {index for index, code in codes.items() if code == "SESSION_NOT_FOUND"} == {6, 7}
    messages = {error["index"]: error["message"] for error in found["errors"]}
    assert "event.text" in messages[1]
    assert "runId" in messages[5]
    assert "eventType" in messages[8]
    texts = [event.get("text") for event in interactions(await gateway.timeline(sent["sessionId"]), run_id)]
    assert texts[-3:] == ["第 0 条", "第 1 条", "第 2 条"]


@pytest.mark.parametrize("event_id", ["evt", None])
async def test_an_event_is_accepted_once(gateway: GatewayClient, event_id: str | None) -> None:
    sent, run_id = await open_run(gateway)
    item = late_interaction(sent, run_id) | ({} if event_id is None else {"eventId": unique(event_id)})
    before = len(await gateway.timeline(sent["sessionId"]))
    answers = await asyncio.gather(*(gateway.report(item, item) for _ in range(5)))
    assert [decoded(answer)["accepted"] for answer in answers] == [2] * 5
    assert len(await gateway.timeline(sent["sessionId"])) == before + 1


async def test_an_event_that_was_refused_is_accepted_once_it_is_right(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    event_id = unique("event")
    wrong = late_interaction(sent, "run-none", eventId=event_id)
    assert decoded(await gateway.report(wrong))["rejected"] == 1
    assert decoded(await gateway.report(wrong | {"runId": run_id}))["accepted"] == 1
    assert interactions(await gateway.timeline(sent["sessionId"]), run_id)[-1]["text"] == "做好了"


async def test_the_run_of_another_provider_is_refused(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    found = decoded(await gateway.report(late_interaction(sent, run_id), provider_id="plan"))
    assert found["rejected"] == 1
    assert "runId" in found["errors"][0]["message"]


async def test_a_domain_event_goes_to_the_users_latest_session_that_the_provider_served(
    gateway: GatewayClient,
) -> None:
    user_id = unique("user")
    older, newer = message("工作任务", userId=user_id), message("工作任务", userId=user_id)
    for sent in (older, newer, message("你好", userId=user_id), message("安排计划", userId=user_id)):
        await gateway.ingest(sent)
    event = domain_event(user_id, related={"runId": "run-1"}, severity="info")
    assert decoded(await gateway.report(event))["accepted"] == 1

    def told(events: list[Json]) -> list[Json]:
        return [each for each in events if each["kind"] == "domain_event"]

    (last,) = told(await gateway.timeline(newer["sessionId"]))
    assert (last["providerId"], last["runId"], last["payload"]) == ("work", "run-1", {"event": event["event"]})
    named = domain_event(user_id, sessionId=older["sessionId"])
    assert decoded(await gateway.report(named))["accepted"] == 1
    assert len(told(await gateway.timeline(older["sessionId"]))) == 1


async def test_a_provider_writes_into_no_session_that_it_did_not_serve(gateway: GatewayClient) -> None:
    user_id = unique("user")
    planned = message("安排计划", userId=user_id)
    await gateway.ingest(planned)
    found = decoded(
        await gateway.report(
            domain_event(user_id),
            domain_event(user_id, sessionId=planned["sessionId"]),
            domain_event(user_id, sessionId=unique("nowhere")),
        )
    )
    assert [error["code"] for error in found["errors"]] == ["SESSION_NOT_FOUND"] * 3
    as_plan = domain_event(user_id, sessionId=planned["sessionId"], providerId="plan")
    assert decoded(await gateway.report(as_plan, provider_id="plan"))["accepted"] == 1


async def test_a_session_that_a_refused_input_named_is_nobodys_latest(gateway: GatewayClient) -> None:
    user_id, headers = unique("user"), {"idempotency-key": unique("key")}
    sent = message("工作任务", userId=user_id)
    await gateway.ingest(sent, headers)
    await gateway.post("/v0/ingest", sent | {"sessionId": unique("never")}, headers)
    assert decoded(await gateway.report(domain_event(user_id)))["accepted"] == 1
    assert "domain_event" in {each["kind"] for each in await gateway.timeline(sent["sessionId"])}


async def test_a_domain_event_for_nobodys_session_is_rejected(gateway: GatewayClient) -> None:
    sent = message(userId=unique("user"))
    await gateway.ingest(sent)
    found = decoded(
        await gateway.report(
            domain_event(unique("stranger")),
            domain_event(unique("stranger"), sessionId=sent["sessionId"]),
            domain_event(sent["userId"], providerId="plan"),
        )
    )
    assert found["rejected"] == 3
    assert [error["code"] for error in found["errors"]] == [
        "SESSION_NOT_FOUND",
        "SESSION_NOT_FOUND",
        "INVALID_REQUEST",
    ]
    assert len(await gateway.timeline(sent["sessionId"])) == 4


async def test_a_channel_reports_what_it_delivered(gateway: GatewayClient) -> None:
    sent, run_id = await open_run(gateway)
    delivered = {"channel": "wechat", "eventIds": ["e1", "e2"], "outcome": "sent", "detail": "all of it"}
    item = {
        "kind": "delivery_event",
        "sessionId": sent["sessionId"],
        "userId": sent["userId"],
        "runId": run_id,
        "event": delivered,
        "timestampMs": now_ms(),
    }
    bad = item | {"event": delivered | {"outcome": "lost"}}
    found = decoded(await gateway.report(item, bad, provider_id="adapter-wechat"))
    assert (found["accepted"], found["rejected"]) == (1, 1)
    events = await gateway.timeline(sent["sessionId"])
    assert events[-1]["kind"] == "delivery_event"
    assert events[-1]["payload"] == {"event": delivered}
    assert events[-1]["traceId"]
    assert seqs(events) == list(range(1, len(events) + 1))


async def test_a_late_event_stays_in_its_session_after_a_pause(gateway: GatewayClient) -> None:
    old = message("安排工作", userId=unique("user"), timestampMs=now_ms() - DAY_MS - 60_000)
    runs = {run["providerId"]: run["runId"] for run in (await gateway.ingest(old))["runs"]}
    for run_id in runs.values():
        await gateway.when_over(old["sessionId"], run_id)
    ack = await gateway.ingest(message("又来了", userId=old["userId"], sessionId=old["sessionId"]))
    assert ack["sessionId"] != old["sessionId"]
    assert decoded(await gateway.report(late_interaction(old, runs["work"])))["accepted"] == 1
    assert interactions(await gateway.timeline(old["sessionId"]), runs["work"])[-1]["text"] == "做好了"


async def test_the_request_itself_must_be_right(gateway: GatewayClient) -> None:
    for body, named in (
        ({"schemaVersion": "v0", "events": [], "timestampMs": 1}, "providerId"),
        ({"schemaVersion": "v0", "providerId": "work", "timestampMs": 1}, "events"),
        ({"schemaVersion": "v0", "providerId": "work", "events": {}, "timestampMs": 1}, "events"),
        ({"schemaVersion": "v0", "providerId": "work", "events": [1] * 1001, "timestampMs": 1}, "1000"),
    ):
        answer = await gateway.post(EVENTS, codec.encode(body), provider_headers("*"))
        refused(answer, 400, "INVALID_REQUEST", named)


async def test_the_manifest_is_the_builtin_chats(gateway: GatewayClient) -> None:
    answer = await gateway.get("/.well-known/uniassist/manifest.json")
    manifest = decoded(answer)
    assert (manifest["schemaVersion"], manifest["providerId"]) == ("v0", "builtin_chat")
    assert manifest["capabilities"] == {
        "inputs": ["text"],
        "interactionEvents": ["assistant_message"],
        "streaming": False,
    }


async def test_what_a_provider_reports_is_of_the_trace_it_names(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    sent, run_id = await open_run(gateway)
    traceparent = f"00-{'c' * 32}-{'d' * 16}-01"
    items = (late_interaction(sent, run_id), domain_event(sent["userId"], sessionId=sent["sessionId"]))
    assert decoded(await gateway.report(*items, traceparent=traceparent))["accepted"] == 2
    traces = database.execute(
        "SELECT traceparent FROM outbox_events WHERE session_id = %s ORDER BY id DESC LIMIT 2", (sent["sessionId"],)
    ).fetchall()
    assert traces == [(traceparent,), (traceparent,)]
