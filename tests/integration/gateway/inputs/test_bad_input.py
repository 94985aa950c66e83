"""Bad input: refused with the field's name, and nothing of it written."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, Json, interaction, message, refused, unique

from uniassist.contracts import codec

REQUIRED = ("schemaVersion", "traceId", "userId", "sessionId", "source", "timestampMs")
MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"{'a': 1}",
    b'{"a": NaN}',
    b'{"schemaVersion":"v0",}',
    b'{"a": 1e999}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a":"\xc3("}',
]


@pytest.mark.parametrize("path", ["/v0/ingest", "/v0/interact"])
@pytest.mark.parametrize("raw", MALFORMED)
async def test_what_is_no_json_object_is_refused(gateway: GatewayClient, path: str, raw: bytes) -> None:
    refused(await gateway.post(path, raw), 400, "INVALID_REQUEST")


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("fault", ["missing", "null", "mistyped"])
async def test_a_required_field_is_named_when_it_is_not_right(
    gateway: GatewayClient, name: str, fault: str
) -> None:
    sent = message()
    if fault == "missing":
        del sent[name]
    else:
        sent[name] = None if fault == "null" else {"an": "object"}
    refused(await gateway.post("/v0/ingest", sent), 400, "INVALID_REQUEST", name)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"traceId": ""}, "traceId"),
        ({"userId": ""}, "userId"),
        ({"sessionId": ""}, "sessionId"),
        ({"sessionId": "s" * 257}, "sessionId"),
        ({"userId": 7}, "userId"),
        ({"schemaVersion": "v1"}, "schemaVersion"),
        ({"source": "sms"}, "source"),
        ({"timestampMs": 1.5}, "timestampMs"),
        ({"timestampMs": True}, "timestampMs"),
        ({"timestampMs": "1700000000000"}, "timestampMs"),
        ({"timestampMs": 2**63}, "timestampMs"),
        ({"timestampMs": -(2**63) - 1}, "timestampMs"),
        ({"text": ["a", "list"]}, "text"),
        ({"locale": 1}, "locale"),
        ({"channel": {"type": "wechat"}}, "channel.id"),
        ({"channel": {"id": "c", "messageId": ""}}, "channel.messageId"),
        ({"attachments": [{"id": "a", "type": "poem"}]}, "attachments[0].type"),
        ({"attachments": [{"id": "a", "type": "file", "size": 2**70}]}, "attachments[0].size"),
        ({"attachments": "none"}, "attachments"),
    ],
)
async def test_a_wrong_value_is_named(
    gateway: GatewayClient, database: psycopg.Connection, changed: Json, named: str
) -> None:
    sent = message() | changed
    refused(await gateway.post("/v0/ingest", sent), 400, "INVALID_REQUEST", named)
    assert _written(database, str(sent["sessionId"])) == []


@pytest.mark.parametrize(
    "name", ["traceId", "sessionId", "userId", "providerId", "runId", "actionId", "timestampMs"]
)
async def test_an_interactions_required_field_is_named_too(gateway: GatewayClient, name: str) -> None:
    sent = interaction("session", "switch_provider:plan")
    del sent[name]
    refused(await gateway.post("/v0/interact", sent), 400, "INVALID_REQUEST", name)


@pytest.mark.parametrize(
    "escaped",
    [
        b"\\u0000",
        b"before\\u0000after",
        b"\x00",
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\ud83d!",
    ],
)
@pytest.mark.parametrize("place", ["text", "sessionId", "raw", "unknown", "key"])
async def test_a_nul_or_a_lone_surrogate_is_refused_anywhere(
    gateway: GatewayClient, escaped: bytes, place: str
) -> None:
    member = b'"%b":1' % escaped if place == "key" else b'"%b":"%b"' % (place.encode(), escaped)
    raw = codec.encode(message())[:-1] + b"," + member + b"}"
    refused(await gateway.post("/v0/ingest", raw), 400, "INVALID_REQUEST", "body")


async def test_a_surrogate_pair_and_an_escaped_backslash_are_text(gateway: GatewayClient) -> None:
    sent = message()
    raw = codec.encode(sent)[:-1] + b',"raw":"\\ud83d\\ude00 \\\\u0000"}'
    assert (await gateway.post("/v0/ingest", raw)).status == 200
    events = await gateway.timeline(sent["sessionId"])
    assert events[0]["payload"]["input"]["raw"] == "\U0001f600 \\u0000"


async def test_nesting_ends_at_64_levels(gateway: GatewayClient) -> None:
    def nested(levels: int) -> bytes:
        depth = levels - 1  # the message itself is one
        return codec.encode(message())[:-1] + b',"raw":' + b"[" * depth + b"]" * depth + b"}"

    refused(await gateway.post("/v0/ingest", nested(65)), 400, "INVALID_REQUEST", "64 levels")
    refused(await gateway.post("/v0/ingest", nested(100_000)), 400, "INVALID_REQUEST", "64 levels")
    assert (await gateway.post("/v0/ingest", nested(64))).status == 200


async def test_brackets_in_a_text_are_no_nesting(gateway: GatewayClient) -> None:
    await gateway.ingest(message("[" * 1000 + '\\"' + "{" * 1000))


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, to this client
async def test_two_megabytes_are_too_large_and_one_is_not(
    gateway: GatewayClient, database: psycopg.Connection
) -> None:
    refused(await gateway.post("/v0/ingest", message("x" * 2_000_000)), 413, "PAYLOAD_TOO_LARGE", "body")
    sent = message("")
    sent["text"] = "x" * (1024 * 1024 - len(codec.encode(sent)))
    assert (await gateway.post("/v0/ingest", sent)).status == 200
    kept = database.execute(
        "SELECT payload #>> '{input,text}' FROM timeline_events WHERE session_id = %s AND kind = 'inbound'",
        (sent["sessionId"],),
    ).fetchone()
    assert kept == (sent["text"],)


@pytest.mark.parametrize(
    "path",
    [
        "/v0/timeline",
        "/v0/timeline?sessionId=",
        "/v0/timeline?sessionId=a&sessionId=b",
        "/v0/timeline?sessionId=" + "s" * 257,
        "/v0/timeline?sessionId=%00",
        "/v0/timeline?sessionId=%ff",
        "/v0/stream",
    ],
)
async def test_a_query_needs_one_good_session_id(gateway: GatewayClient, path: str) -> None:
    refused(await gateway.get(path), 400, "INVALID_REQUEST")


@pytest.mark.parametrize("cursor", ["-1", "x", "1.0", "+1", "%201", "", "9223372036854775808", "٣"])
async def test_a_cursor_is_a_decimal_number(gateway: GatewayClient, cursor: str) -> None:
    for path in ("timeline", "stream"):
        answer = await gateway.get(f"/v0/{path}?sessionId=s&cursor={cursor}")
        refused(answer, 400, "INVALID_REQUEST", "cursor")


async def test_a_last_event_id_is_a_decimal_number(gateway: GatewayClient) -> None:
    answer = await gateway.get("/v0/stream?sessionId=s", {"last-event-id": "seven"})
    refused(answer, 400, "INVALID_REQUEST", "Last-Event-ID")


async def test_paths_and_methods_that_do_not_exist(gateway: GatewayClient) -> None:
    refused(await gateway.get("/v0/nothing"), 404, "NOT_FOUND")
    refused(await gateway.get("/v0/ingest"), 405, "METHOD_NOT_ALLOWED", "POST")


async def test_a_bad_input_takes_no_neighbour_with_it(gateway: GatewayClient) -> None:
    """Another user's session is found out only inside the shared transaction."""
    session_id, neighbours = unique("shared"), [message("你好") for _ in range(20)]
    await gateway.ingest(message("你好", sessionId=session_id))
    bad = [message("你好", sessionId=session_id, userId="intruder") for _ in range(20)]
    mixed = [sent for pair in zip(bad, neighbours, strict=True) for sent in pair]
    answers = await asyncio.gather(*(gateway.post("/v0/ingest", sent) for sent in mixed))
    for answer in answers[::2]:
        refused(answer, 404, "SESSION_NOT_FOUND")
    assert {answer.status for answer in answers[1::2]} == {200}
    assert len(await gateway.timeline(session_id)) == 4


async def test_html_in_a_text_stays_text(gateway: GatewayClient) -> None:
    sent = message("<script>alert(1)</script>")
    await gateway.ingest(sent)
    answer = await gateway.get(f"/v0/timeline?sessionId={sent['sessionId']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_numbers_of_any_size_in_raw_come_back_equal(gateway: GatewayClient) -> None:
    for number in (2**63, -(2**64), 10**300, 1e22, 1e-300, 0.1, -0.0):
        sent = message(raw={"number": number})
        await gateway.ingest(sent)
        events = await gateway.timeline(sent["sessionId"])
        assert events[0]["payload"]["input"]["raw"]["number"] == number


def _written(database: psycopg.Connection, session_id: str) -> list[tuple[object, ...]]:
    return database.execute("SELECT 1 FROM sessions WHERE session_id = %s", (session_id[:300],)).fetchall()
