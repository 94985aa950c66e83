"""The provider SDK, by a provider that is written with it, over HTTP; what it reports to is a small server."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import urllib.error
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.waiting import eventually

from uniassist.errors import SettingsError
from uniassist.provider import Provider
from uniassist.provider.app import ProviderSettings
from uniassist.provider.testing import ask, running, texts

TOKEN = "every-token-of-the-tests-0123456789"
ACCESS = "every-access-of-the-tests-0123456789"


class Heard(ThreadingHTTPServer):
    """A gateway's `/v0/events`. The first push of each event is answered with 503: it has to come again.

    The second push of a run's end is refused, as where the answer that leaves the run open isn't written down yet.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hears)
        self.pushes: list[tuple[str, dict[str, Any]]] = []

    @property
    def taken(self) -> list[dict[str, Any]]:
        """What came as often as it had to."""
        found: dict[str, int] = {}
        again = []
        for _, item in list(self.pushes):
            found[item["eventId"]] = found.get(item["eventId"], 0) + 1
            if found[item["eventId"]] == (3 if item["kind"] == "run" else 2):
                again.append(item)
        return again


class _Hears(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Heard)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        [item] = body["events"]
        before = sum(known["eventId"] == item["eventId"] for _, known in server.pushes)
        server.pushes.append((self.headers["authorization"], item))
        is_early = item["kind"] == "run" and before == 1
        counts: dict[str, Any] = {"accepted": 0, "rejected": 1} if is_early else {"accepted": 1, "rejected": 0}
        answer = json.dumps({"schemaVersion": "v0"} | counts).encode()
        self.send_response(200 if before else 503)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Heard]:
    server = Heard()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def every(gateway: Heard) -> Iterator[str]:
    env = {
        "UNIASSIST_PROVIDER_TOKEN_EVERY": TOKEN,
        "UNIASSIST_PROVIDER_TOKEN_EVERY_ACCESS": ACCESS,
        "GATEWAY_URL": f"http://127.0.0.1:{gateway.server_port}",
    }
    path = Path(__file__).with_name("everything_provider.py")
    with running([sys.executable, str(path)], env=env) as url:
        yield url


def asked(url: str, text: str, **run: Any) -> list[str]:
    return texts(ask(url, text, token=TOKEN, **run))


def call(text: str, run_id: str, attempt: int = 1) -> dict[str, Any]:
    ids = {"schemaVersion": "v0", "traceId": "t", "userId": "u", "sessionId": "s", "source": "app"}
    return {
        "schemaVersion": "v0",
        "input": ids | {"timestampMs": 1, "text": text},
        "context": {"schemaVersion": "v0", "user": {"userId": "u"}, "permissions": []},
        "run": {"runId": run_id, "providerId": "every", "attempt": attempt, "idempotencyKey": "k"},
    }


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


async def frames(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with http.post(f"{url}/v0/invoke", json=body) as answer:
        assert answer.content_type == "text/event-stream"
        lines = (await answer.text()).splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_a_handler_of_one_line_answers(every: str) -> None:
    assert int(asked(every, "count")[0]) > 0


async def test_the_same_run_gets_the_same_answer_also_at_once_and_either_way(
    every: str, http: aiohttp.ClientSession
) -> None:
    first, second = await asyncio.gather(*(frames(http, every, call("count", "run-twice", n)) for n in (1, 2)))
    third = await frames(http, every, call("count", "run-twice", 3))
    plain = {"Accept": "application/json"}
    async with http.post(f"{every}/v0/invoke", json=call("count", "run-twice", 4), headers=plain) as answer:
        whole = await answer.json()
    assert first == second == third
    assert whole["immediateEvents"] == [first[0]["event"]]
    other = await frames(http, every, call("count", "run-once"))
    assert other != first


async def test_pieces_are_deltas_of_the_message_that_ends_them(every: str, http: aiohttp.ClientSession) -> None:
    said = await frames(http, every, call("pieces a b", "run-pieces"))
    kinds = [(each["type"], each.get("messageId") or each.get("event", {}).get("messageId")) for each in said]
    assert kinds == [
        ("delta", "m1"),
        ("delta", "m1"),
        ("event", "m1"),
        ("event", None),
        ("delta", "m2"),
        ("event", "m2"),
        ("end", None),
    ]
    assert said[2]["event"]["text"] == "ab"
    assert said[-1]["expectsReply"] == {"hint": "noted"}


def test_a_reply_brings_the_hint(every: str) -> None:
    assert asked(every, "go", continues="run-before", hint="noted") == ["goes on with noted"]


@pytest.mark.parametrize("text", ["fail", "undeclared", "many"])
def test_a_handler_that_fails_is_a_500_and_may_be_asked_again(every: str, text: str) -> None:
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(every, text, runId=f"run-{text}")
        with refused.value as answer:
            assert answer.code == 500


async def test_a_stream_whose_handler_fails_stops_without_an_end(every: str, http: aiohttp.ClientSession) -> None:
    said = await frames(http, every, call("many", "run-many-streamed"))
    assert len(said) == 100
    assert all(each["type"] == "event" for each in said)


def test_an_answer_that_comes_too_late_is_a_503(every: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(every, "slow 30")
    with refused.value as answer:
        assert answer.code == 503


async def test_who_hangs_up_ends_the_work_and_another_attempt_begins_it_anew(
    every: str, http: aiohttp.ClientSession
) -> None:
    for attempt in (1, 2):
        async with http.post(f"{every}/v0/invoke", json=call("drip", "run-drip", attempt)) as answer:
            first = json.loads((await answer.content.readline()).removeprefix(b"data: "))
            assert first["text"] == "0 "
            answer.close()

        async def is_over() -> bool:
            async with http.get(f"{every}/metrics") as shown:
                return "uniassist_provider_every_under_way 0.0" in await shown.text()

        await eventually(is_over, "the work is over")


def test_the_gateways_token_is_asked_for(every: str) -> None:
    for token in (None, "another"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(every, "count", token=token)
        with refused.value as answer:
            assert answer.code == 401


async def test_work_in_the_background_reports_until_it_is_heard_and_ends_its_run(
    every: str, http: aiohttp.ClientSession, gateway: Heard
) -> None:
    said = await frames(http, every, call("later", "run-later"))
    assert said[-1] == {"type": "end", "staysOpen": {}}
    await frames(http, every, call("later", "run-later", 2))  # the same run: nothing is done twice

    def of_run() -> list[dict[str, Any]]:
        return [item for item in gateway.taken if item["runId"] == "run-later"]

    async def is_ended() -> bool:
        return [item["kind"] for item in of_run()] == ["interaction", "interaction", "run"]

    await eventually(is_ended, "the run is ended")
    progress, message, end = of_run()
    assert progress["event"]["payload"]["progress"] == {"step": 1, "total": 2, "label": "half"}
    assert (message["event"]["text"], end["status"]) == ("done", "completed")
    assert {shown for shown, _ in gateway.pushes} == {f"Bearer {ACCESS}"}


async def test_work_that_breaks_ends_its_run_as_failed(
    every: str, http: aiohttp.ClientSession, gateway: Heard
) -> None:
    await frames(http, every, call("fails-later", "run-broken"))

    async def is_failed() -> bool:
        return [item["status"] for item in gateway.taken if item["runId"] == "run-broken"] == ["failed"]

    await eventually(is_failed, "the run failed")


async def test_a_person_is_erased(every: str, http: aiohttp.ClientSession) -> None:
    body = {"schemaVersion": "v0", "userId": "gone", "subjects": [], "timestampMs": 1}
    async with http.post(f"{every}/v0/erase", json=body) as answer:
        assert await answer.json() == {"schemaVersion": "v0", "accepted": True}
    assert "gone" in asked(every, "forgotten")[0]


@pytest.mark.parametrize(
    ("members", "named"),
    [({"provider_id": "Not so"}, "provider_id"), ({"provider_id": "x", "events": ["smile"]}, "events: expected")],
)
def test_what_no_manifest_may_say_is_refused_at_once(members: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Provider(**{"name": "x", "description": "x"} | members)


def test_outside_dev_a_token_is_needed() -> None:
    environ = {"UNIASSIST_ENV": "staging", "GATEWAY_URL": "http://gateway.internal:8787"}
    with pytest.raises(SettingsError, match="UNIASSIST_PROVIDER_TOKEN_EVERY: required"):
        ProviderSettings.from_env("every", 9009, environ)
