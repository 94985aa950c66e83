"""Attacks over the bare wire: requests inside requests, headers that two readers read differently, HTML as data."""

from __future__ import annotations

import asyncio
import gzip
from urllib.parse import quote, urlsplit

import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    Json,
    decoded,
    interaction,
    message,
    now_ms,
    provider_headers,
    refused,
    signed,
    unique,
)
from tests.integration.gateway.sse import follow
from tests.processes import CONTEXT_TOKEN

from uniassist.contracts import codec

CLOSE = {"connection": "close"}
HTML = '<script>alert("1")</script><img src=x onerror=alert(1)>\'"&'


async def wire(gateway: GatewayClient, sent: bytes) -> bytes:
    """All that comes back on one connection until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(gateway.url).port)
    writer.write(sent)
    async with asyncio.timeout(15):
        answer = await reader.read()
    writer.close()
    return answer


def request(path: str, body: bytes, *headers: bytes, method: str = "POST", length: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"host: x", *headers]
    lines += [b"content-length: %d" % len(body)] if length else []
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


SMUGGLERS = {
    "length and chunks": (b"content-length: {outer}", b"transfer-encoding: chunked"),
    "chunks and length": (b"transfer-encoding: chunked", b"content-length: {outer}"),
    "two lengths": (b"content-length: 0", b"content-length: {outer}"),
    "a list of lengths": (b"content-length: 0, {outer}",),
    "a signed length": (b"content-length: +{outer}",),
    "a negative length": (b"content-length: -1",),
    "a huge length": (b"content-length: 99999999999999999999",),
    "a hexadecimal length": (b"content-length: 0x{outer}",),
    "space before the colon": (b"content-length : {outer}", b"content-length: 0"),
    "chunks not last": (b"transfer-encoding: chunked, identity",),
    "an unknown coding": (b"transfer-encoding: xchunked", b"content-length: 0"),
    "a folded coding": (b"transfer-encoding:\r\n chunked", b"content-length: {outer}"),
    "a tab before the coding": (b"transfer-encoding:\x0bchunked", b"content-length: {outer}"),
    "a coding twice": (b"transfer-encoding: chunked", b"transfer-encoding: identity"),
    "a bare line feed": (b"x: y\ntransfer-encoding: chunked", b"content-length: {outer}"),
    "a null byte": (b"content-length: {outer}\x00",),
}


@pytest.mark.parametrize("headers", SMUGGLERS.values(), ids=SMUGGLERS.keys())
async def test_a_request_inside_a_body_of_two_lengths_is_never_taken(
    gateway: GatewayClient, headers: tuple[bytes, ...]
) -> None:
    """Whichever length a proxy believes, this server doesn't make a second request of the rest."""
    inner = message("你好", sessionId=unique("smuggled"))
    hidden = request("/v0/ingest", codec.encode(inner), b"connection: close")
    body = b"0\r\n\r\n" + hidden
    shown = tuple(line.replace(b"{outer}", b"%d" % len(body)) for line in headers)
    answer = await wire(gateway, request("/v0/ingest", body, *shown, length=False))
    assert b"HTTP/1.1 200" not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert await gateway.timeline(inner["sessionId"]) == []


async def test_a_second_request_behind_a_body_of_one_length_is_taken(gateway: GatewayClient) -> None:
    """What the tests beside this one would see of a request that was smuggled."""
    inner = message("你好", sessionId=unique("pipelined"))
    hidden = request("/v0/ingest", codec.encode(inner), b"connection: close")
    answer = await wire(gateway, request("/v0/ingest", b"0\r\n\r\n") + hidden)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"400", b"200"]
    assert len(await gateway.timeline(inner["sessionId"])) == 4


async def test_a_second_request_in_the_body_of_a_chunk_is_body(gateway: GatewayClient) -> None:
    inner = message("你好", sessionId=unique("smuggled"))
    hidden = request("/v0/ingest", codec.encode(inner), b"connection: close")
    shown = (b"transfer-encoding: chunked", b"connection: close")
    answer = await wire(gateway, request("/v0/ingest", chunked(hidden), *shown, length=False))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert await gateway.timeline(inner["sessionId"]) == []


@pytest.mark.parametrize(
    ("name", "first", "second", "status"),
    [
        ("authorization", f"Bearer {CONTEXT_TOKEN}", "Bearer other", 400),
        ("authorization", "Bearer other", f"Bearer {CONTEXT_TOKEN}", 400),
        ("x-provider-scopes", "events:write", "context:read", 400),
    ],
)
async def test_a_header_given_twice_is_read_neither_way(
    gateway: GatewayClient, name: str, first: str, second: str, status: int
) -> None:
    body = codec.encode({"schemaVersion": "v0", "providerId": "work", "events": [], "timestampMs": now_ms()})
    base = {} if name == "authorization" else {"authorization": f"Bearer {CONTEXT_TOKEN}"}
    given = [*base.items(), (name, first), (name.upper(), second), ("connection", "close")]
    lines = [f"{each}: {value}".encode() for each, value in given]
    answer = await wire(gateway, request("/v0/events", body, *lines))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert CONTEXT_TOKEN.encode() not in answer


@pytest.mark.parametrize("name", ["x-uniassist-signature", "x-uniassist-timestamp", "x-uniassist-nonce"])
async def test_a_signature_header_given_twice_is_refused(gateway: GatewayClient, name: str) -> None:
    sent = message(source="wechat")
    body = codec.encode(sent)
    headers = signed(body)
    lines = [f"{each}: {value}".encode() for each, value in (headers | CLOSE).items()]
    answer = await wire(gateway, request("/v0/ingest", body, *lines, f"{name}: {headers[name]}".encode()))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert await gateway.timeline(sent["sessionId"]) == []


async def test_a_keys_header_given_twice_is_refused(gateway: GatewayClient) -> None:
    sent = message()
    lines = (b"idempotency-key: a", b"Idempotency-Key: b", b"connection: close")
    answer = await wire(gateway, request("/v0/ingest", codec.encode(sent), *lines))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert await gateway.timeline(sent["sessionId"]) == []


async def test_a_headers_case_does_not_matter_and_its_spelling_does(gateway: GatewayClient) -> None:
    odd, underscored = message(source="wechat"), message(source="wechat")
    lines = [f"{name.title()}:  {value}".encode() for name, value in signed(codec.encode(odd)).items()]
    answer = await wire(gateway, request("/v0/ingest", codec.encode(odd), *lines, b"connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    headers = signed(codec.encode(underscored))
    lines = [f"{name.replace('-', '_')}: {value}".encode() for name, value in (headers | CLOSE).items()]
    answer = await wire(gateway, request("/v0/ingest", codec.encode(underscored), *lines))
    assert answer.startswith(b"HTTP/1.1 401 ")


# The heads of the last two are only little over the limit: much more would still be on its way when the server
# closes, and a client that gets a reset may lose the answer.
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"x: a\x00b", 400),
        (b"x\x00: a", 400),
        (b": nameless", 400),
        (b"no colon", 400),
        (b"x: " + b"a" * 33_000, 431),
        (b"\r\n".join(b"x%d: y" % n for n in range(3_500)), 431),
    ],
)
async def test_a_head_that_is_none_is_refused_and_writes_nothing(
    gateway: GatewayClient, line: bytes, status: int
) -> None:
    sent = message()
    answer = await wire(gateway, request("/v0/ingest", codec.encode(sent), line))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert await gateway.timeline(sent["sessionId"]) == []


async def test_headers_of_proxies_and_frameworks_change_nothing(gateway: GatewayClient) -> None:
    tricks = (
        b"x-http-method-override: POST",
        b"x-original-url: /v0/events",
        b"x-rewrite-url: /v0/events",
        b"x-forwarded-host: evil.example",
        b"x-forwarded-for: 127.0.0.1",
        b"connection: close",
    )
    answer = await wire(gateway, request("/v0/timeline?sessionId=s", b"", *tricks, method="GET"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"evil.example" not in answer
    answer = await wire(gateway, request("/v0/ingest", b"", *tricks, method="GET"))
    assert answer.startswith(b"HTTP/1.1 405 ")


async def test_a_compressed_body_is_not_blown_up(gateway: GatewayClient) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    answer = await gateway.post("/v0/ingest", bomb, {"content-encoding": "gzip"})
    refused(answer, 400, "INVALID_REQUEST", "body")


def in_every_text() -> Json:
    attachment = dict.fromkeys(("id", "url", "localUri", "mime", "name", "sha256"), HTML) | {"type": "file"}
    return message(
        f"计划 {HTML}",
        traceId=f"{HTML}{unique('t')}",
        userId=HTML,
        sessionId=f"{HTML}{unique('s')}",
        channel={"id": HTML, "type": HTML, "messageId": f"{HTML}{unique('m')}"},
        raw={HTML: [HTML]},
        attachments=[attachment],
        locale=HTML,
        timezone=HTML,
    )


async def test_html_in_every_text_of_an_input_comes_back_as_the_same_data(gateway: GatewayClient) -> None:
    sent = in_every_text()
    session = quote(sent["sessionId"], safe="")
    acknowledged = await gateway.post("/v0/ingest", sent)
    _is_data(acknowledged.headers)
    ack = decoded(acknowledged)
    assert ack["sessionId"] == sent["sessionId"]
    assert "<" not in ack["stream"]["href"]
    events = await gateway.when_over(session, ack["runs"][0]["runId"])
    assert events[0]["payload"]["input"] == sent
    _is_data((await gateway.get(f"/v0/timeline?sessionId={session}")).headers)
    async with follow(gateway.url, sent["sessionId"]) as follower:
        await follower.until(lambda f: len(f.events) >= len(events), "the stream has it")
    assert follower.events[0] == events[0]


async def test_html_in_what_people_and_providers_send_later_comes_back_as_the_same_data(
    gateway: GatewayClient,
) -> None:
    sent = in_every_text()
    session, user = quote(sent["sessionId"], safe=""), sent["userId"]
    run_id = (await gateway.ingest(sent))["runs"][0]["runId"]
    await gateway.when_over(session, run_id)
    choice = interaction(sent["sessionId"], HTML, userId=user, runId=run_id, payload={HTML: HTML}, traceId=HTML)
    assert (await gateway.post("/v0/interact", choice)).status == 200
    domain = {
        "schemaVersion": "v0",
        "userId": user,
        "sessionId": sent["sessionId"],
        "providerId": "plan",
        "eventType": "summary",
        "title": HTML,
        "body": HTML,
        "related": {"href": HTML},
        "timestampMs": 1,
    }
    shown = {"type": "card", "title": HTML, "body": HTML, "actions": [{"actionId": HTML, "label": HTML}]}
    late = {
        "kind": "interaction",
        "traceId": HTML,
        "sessionId": sent["sessionId"],
        "userId": user,
        "timestampMs": 1,
    }
    answer = await gateway.report(
        {"kind": "domain_event", "event": domain}, late | {"runId": run_id, "event": shown}, provider_id="plan"
    )
    assert decoded(answer)["accepted"] == 2, answer.body
    _is_data(answer.headers)
    events = await gateway.timeline(session)
    assert [e["payload"] for e in events if e["kind"] == "user_interaction"] == [choice]
    assert [e["payload"]["event"] for e in events if e["kind"] == "domain_event"] == [domain]
    assert shown in [e["payload"]["event"] for e in events if e["kind"] == "interaction"]
    context = await gateway.get(f"/v0/context/users/profile:{quote(user, safe='')}", provider_headers("*"))
    _is_data(context.headers)
    assert decoded(context)["preferences"] == {"locale": HTML, "timezone": HTML}


@pytest.mark.parametrize(
    "path",
    [
        "/{}",
        "/docs/assets/{}",
        "/v0/timeline?{}=1&sessionId=s",
        "/v0/timeline?sessionId=s&cursor={}",
        "/v0/timeline?sessionId=s&{}=1&{}=2",
        "/v0/context/users/{}",
        "/metrics/{}",
    ],
)
async def test_html_in_a_path_or_query_is_shown_on_no_page(gateway: GatewayClient, path: str) -> None:
    for form in (quote(HTML, safe=""), HTML.replace(" ", "+").replace('"', "%22")):
        target = path.replace("{}", form)
        answer = await wire(gateway, request(target, b"", b"connection: close", method="GET"))
        head, _, _ = answer.partition(b"\r\n\r\n")
        assert b"content-type: application/" in head.lower()
        assert b"x-content-type-options: nosniff" in head.lower()


async def test_the_one_page_there_is_shows_nothing_that_anyone_sent(gateway: GatewayClient) -> None:
    plain = await gateway.get("/docs")
    tricked = await gateway.get(
        f"/docs?url={quote(HTML)}", {"referer": quote(HTML), "x-forwarded-host": "evil.example"}
    )
    assert tricked.body == plain.body
    assert "default-src 'self'" in plain.headers["content-security-policy"]
    assert "script-src" not in plain.headers["content-security-policy"]  # so no inline script runs


def _is_data(headers: object) -> None:
    assert isinstance(headers, dict)
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
