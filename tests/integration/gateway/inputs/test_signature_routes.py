"""Signatures say what they sign: the second form one request. Which forms are taken is the operator's choice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from tests.integration.gateway.client import (
    GatewayClient,
    decoded,
    interaction,
    message,
    now_ms,
    refused,
    signed,
    unique,
)
from tests.processes import ADAPTER_SECRET

from uniassist.contracts import codec
from uniassist.web.auth import signing


def second(method: str, path: str, body: bytes = b"", nonce: str | None = None) -> dict[str, str]:
    return signing.sign_request(
        ADAPTER_SECRET,
        signing.Target(method, path.encode()),
        body,
        now_ms=now_ms(),
        nonce=nonce or signing.fresh_nonce(),
    )


def webhook(body: bytes, message_id: str, *, at: int | None = None) -> dict[str, str]:
    at = at if at is not None else int(time.time())
    digest = hmac.new(ADAPTER_SECRET.encode(), f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def test_a_captured_input_is_accepted_by_no_other_route(gateway: GatewayClient) -> None:
    """An input holds all that a cancellation needs."""
    opened = message("安排工作会议", source="web")
    run_id = decoded(await gateway.post("/v0/ingest", opened, second("POST", "/v0/ingest", codec.encode(opened))))[
        "runs"
    ][0]["runId"]
    captured = codec.encode(message(source="web", sessionId=opened["sessionId"]))
    headers = second("POST", "/v0/ingest", captured)
    for path in (f"/v0/runs/{run_id}/cancel", "/v0/interact", "/v0/stream-tickets", "/v0/ingest?x=1"):
        refused(await gateway.post(path, captured, headers), 401, "INVALID_SIGNATURE", "method, path")
    assert (await gateway.post("/v0/ingest", captured, headers)).status == 200, "none of them used it up"
    refused(await gateway.post("/v0/ingest", captured, headers), 401, "INVALID_SIGNATURE", "nonce")


async def test_a_captured_read_reads_nothing_else(gateway: GatewayClient) -> None:
    sent = message(source="web", sessionId=unique("a:b/c ü"))
    await gateway.ingest_signed(sent)
    path = f"/v0/timeline?sessionId={quote(sent['sessionId'], safe='')}&cursor=0"
    headers = second("GET", path)
    assert len(decoded(await gateway.get(path, headers))["events"]) == 4
    for other in (
        path.replace("cursor=0", "cursor=1"),
        path.replace("timeline", "stream"),
        "/v0/timeline?sessionId=x",
    ):
        refused(await gateway.get(other, headers), 401, "INVALID_SIGNATURE", "method, path")


async def test_a_webhook_is_an_input_once_however_often_it_is_sent(gateway: GatewayClient) -> None:
    sent = message(source="api")
    body, message_id = codec.encode(sent), unique("msg")
    headers = webhook(body, message_id)
    first = decoded(await gateway.post("/v0/ingest", body, headers))
    again = decoded(await gateway.post("/v0/ingest", body, webhook(body, message_id, at=int(time.time()) + 1)))
    assert again == first, "sent again under its id, it is the same input"
    refused(await gateway.post("/v0/ingest", body, headers), 401, "INVALID_SIGNATURE", "nonce")
    assert len(await gateway.timeline(sent["sessionId"])) == 4
    refused(await gateway.post("/v0/ingest", body + b" ", webhook(body, "m")), 401, "INVALID_SIGNATURE", "webhook")
    choice = codec.encode(interaction(sent["sessionId"], "new_session:auto"))
    assert (await gateway.post("/v0/interact", choice, webhook(choice, unique("msg")))).status == 200


async def test_a_webhook_names_no_route_and_so_is_taken_where_no_other_body_passes(gateway: GatewayClient) -> None:
    body = codec.encode(message(source="api"))
    for path in ("/v0/runs/run-1/cancel", "/v0/stream-tickets"):
        refused(await gateway.post(path, body, webhook(body, "m")), 401, "INVALID_SIGNATURE", "webhooks")
    for path in ("/v0/timeline?sessionId=s", "/v0/stream?sessionId=s"):
        refused(await gateway.get(path, webhook(b"", "m")), 401, "INVALID_SIGNATURE", "webhooks")


@pytest.mark.parametrize("taken", ["2", "webhooks"])
async def test_the_operator_says_which_forms_are_taken(
    start_gateway: Callable[..., GatewayClient], taken: str
) -> None:
    own = start_gateway(UNIASSIST_SIGNATURES=taken)
    body = codec.encode(message(source="api"))
    shown = {"1": signed(body), "2": second("POST", "/v0/ingest", body), "webhooks": webhook(body, unique("msg"))}
    for form, headers in shown.items():
        answer = await own.post("/v0/ingest", body, headers)
        if form == taken:
            assert answer.status == 200
        else:
            refused(answer, 401, "INVALID_SIGNATURE", "UNIASSIST_SIGNATURES")
