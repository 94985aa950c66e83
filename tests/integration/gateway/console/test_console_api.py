"""The console's HTTP calls, held to what its OpenAPI document says, on a gateway that a proxy stands before."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from tests.integration.gateway.client import GatewayClient, message
from tests.waiting import eventually

from uniassist.cli.outbox import remote
from uniassist.errors import SettingsError, StartError
from uniassist.store import outbox
from uniassist.store.server.pool import Pool

ACT = "console-act-token-0123456789"


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayClient]) -> GatewayClient:
    return start_gateway(
        UNIASSIST_CONSOLE="true",
        UNIASSIST_CONSOLE_TOKENS=f"olga:act:{ACT}",
        UNIASSIST_CONSOLE_USER_HEADER="X-User",
        GATEWAY_TRUSTED_PROXIES="127.0.0.1",
    )


@pytest.fixture
async def client(gateway: GatewayClient) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {ACT}"}
    async with aiohttp.ClientSession(f"{gateway.url}/console/v0/", headers=headers) as session:
        yield session


async def get(client: aiohttp.ClientSession, path: str, expected: int = 200, **fields: str) -> Any:
    async with client.get(path, params=fields) as answer:
        assert answer.status == expected, await answer.text()
        assert expected != 200 or answer.headers["Cache-Control"] == "no-store"
        return await answer.json()


async def act(client: aiohttp.ClientSession, path: str, status: int = 200, **body: object) -> Any:
    shown = {"x-console-act": (await get(client, "me"))["actToken"]}
    async with client.post(path, json={"schemaVersion": "v0", **body}, headers=shown) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_its_calls_are_documented_and_each_needs_somebody_known(gateway: GatewayClient) -> None:
    async with aiohttp.ClientSession(gateway.url) as anybody:
        async with anybody.get("/openapi.json") as answer:
            document = await answer.json()
        paths = [path for path in document["paths"] if path.startswith("/console/")]
        assert len(paths) == 15
        for path in paths:
            for method in document["paths"][path]:
                async with anybody.request(method, path.replace("{eventId}", "e"), json={}) as refused:
                    assert (refused.status, (await refused.json())["code"]) == (401, "INVALID_OPERATOR_TOKEN"), path
        async with anybody.get("/console/v0/me", headers={"X-User": "ada"}) as named:
            me = await named.json()
        assert (me["name"], me["role"], me["via"], me.get("actToken")) == ("ada", "read", "proxy", None)


async def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(gateway: GatewayClient) -> None:
    async with aiohttp.ClientSession(gateway.url) as anybody:
        async with anybody.get("/console") as page:
            text, policy = await page.text(), page.headers["Content-Security-Policy"]
            tag = page.headers["ETag"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<style" not in text
        assert 'style="' not in text
        assert "<script>" not in text
        async with anybody.get("/console", headers={"If-None-Match": tag}) as again:
            assert again.status == 304
        named = re.findall(r"console/assets/([0-9a-f]{16})/[a-z]+[.]", text)
        assert len(set(named)) == 1
        for version, kept in ((named[0], "immutable"), ("another", "no-cache")):
            async with anybody.get(f"/console/assets/{version}/app.js") as module:
                assert kept in module.headers["Cache-Control"]
        for path in ("/console/assets/../app.py", "/console/assets/app.js", f"/console/assets/{named[0]}/app.py"):
            async with anybody.get(path) as outside:
                assert outside.status == 404


async def test_a_message_s_life_has_its_times_and_no_others(
    gateway: GatewayClient, client: aiohttp.ClientSession
) -> None:
    said = message("hello there")
    await gateway.post("/v0/ingest", json.dumps(said).encode())
    by_trace = await get(client, "life", of=said["traceId"])
    first = by_trace["events"][0]
    assert (first["kind"], first["seq"]) == ("inbound", 1)
    assert first["committedAt"] == first["outbox"]["createdAt"]
    assert first["outbox"]["status"] == "pending", "there is no worker here"
    assert "deliveredAt" not in first["outbox"]
    assert "globalEntry" not in first
    assert (await get(client, "life", of=first["eventId"]))["traceId"] == said["traceId"]
    assert (await get(client, "life", of=by_trace["runs"][0]["runId"]))["traceId"] == said["traceId"]
    assert (await get(client, "life", 404, of="nobody's"))["code"] == "NOT_FOUND"


async def test_a_replay_without_a_word_moves_nothing_and_one_with_a_reason_moves_what_fits_once(
    client: aiohttp.ClientSession, pool: Pool
) -> None:
    async with pool.acquire() as connection:
        for number in range(3):
            await outbox.inject(
                connection, event_id=f"e{number}", session_id=f"s{number % 2}", status="dead_letter", attempts=12
            )
    dry = await act(client, "replays", sessionId="s0")
    assert (dry["dryRun"], dry["selected"], dry["updated"], dry["events"]) == (True, 2, 0, ["e0", "e2"])
    refused = await act(client, "replays", 400, sessionId="s0", dryRun=False, note=" x ")
    assert "note: expected why" in refused["detail"]
    assert (await act(client, "replays", error="nothing says this"))["selected"] == 0
    done = await act(client, "replays", sessionId="s0", error="INJECTED", dryRun=False, note="mended")
    assert (done["selected"], done["updated"]) == (2, 2)
    again = await act(client, "replays", dryRun=False, note="mended", replayToken=done["replayToken"])
    assert again["updated"] == 1, "the one of the other session, under the same token"
    acts = (await get(client, "acts"))["acts"]
    assert [(each["who"], each["act"], each["note"], each["outcome"]["updated"]) for each in acts] == [
        ("olga", "replay", "mended", 1),
        ("olga", "replay", "mended", 2),
    ]
    async with client.get("acts.jsonl") as answer:
        lines = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert lines == acts


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"status": "lost"}, "status: expected one of"),
        ({"olderThanSeconds": "0x"}, "olderThanSeconds: expected a decimal"),
        ({"limit": "501"}, "limit: expected a decimal"),
        ({"error": "x" * 201}, "error: expected 1 to 200"),
    ],
)
async def test_a_filter_that_can_t_be_is_named(
    client: aiohttp.ClientSession, fields: dict[str, str], named: str
) -> None:
    assert named in (await get(client, "outbox", 400, **fields))["detail"]


async def test_an_hour_is_sampled_in_the_gateway_and_says_what_is_wrong(client: aiohttp.ClientSession) -> None:
    async def sampled() -> Any:
        found = await get(client, "watch")
        return found if found.get("now") else None

    found = await eventually(sampled, "a first sample")
    assert found["samples"][0]["deadLetter"] == 0
    assert found["now"]["unowned"] == list(range(32)), "there is no worker here"
    assert [each["state"] for each in found["now"]["services"]] == ["ok"]
    assert (await get(client, "watch", since=str(found["now"]["at"])))["samples"] == []


async def test_the_command_line_lists_a_system_elsewhere_by_the_same_call(
    gateway: GatewayClient, pool: Pool
) -> None:
    async with pool.acquire() as connection:
        await outbox.inject(connection, event_id="e1", session_id="s1", status="dead_letter", attempts=12)

    def listed(url: str, token: str | None) -> list[dict[str, Any]]:
        return remote.list_events(url, token, status="dead_letter", session_id="s1", older_than=None, limit=5)

    rows = await asyncio.to_thread(listed, f"{gateway.url}/", ACT)
    assert [(row["event_id"], row["status"], row["attempts"]) for row in rows] == [("e1", "dead_letter", 12)]
    with pytest.raises(StartError, match="--url: 401: Authorization: expected Bearer"):
        await asyncio.to_thread(listed, gateway.url, None)
    with pytest.raises(SettingsError, match="--url: expected a URL"):
        await asyncio.to_thread(listed, "assist.example", None)
