"""A provider that is a real HTTP server; the first part of its path says how it behaves.

With base URL `<url>/slow` it answers late, with `<url>/up` as the contract says.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, cast

EXPECTS, PASSED = "计划等回复", "不归计划"  # in a text: a reply is expected; in a reply: it isn't for the provider
Behaviour = Literal["up", "slow", "broken", "busy", "tired", "nonsense", "impostor", "bulky", "hung", "picky"]

SLOW_SECONDS = 1.5
BULKY_BYTES = 3 * 1024 * 1024
_FAILURES = {"broken": 500, "busy": 429, "tired": 408}
REFUSED = "refuse this"  # in a text, for the picky one


@dataclass(frozen=True)
class Call:
    """A call as it arrived; `path` without the behaviour, `/v0/invoke` say."""

    behaviour: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Empty: it is of no run."""
        return str(self.body.get("run", {}).get("runId", ""))


@dataclass
class FakeProvider:
    """`hung` calls wait for `let_go`; all calls are kept in the order of their arrival."""

    url: str
    let_go: threading.Event = field(default_factory=threading.Event)
    _calls: list[Call] = field(default_factory=list)

    def base_url(self, behaviour: Behaviour) -> str:
        return f"{self.url}/{behaviour}"

    def erasures(self, behaviour: Behaviour) -> list[Call]:
        return [call for call in list(self._calls) if (call.behaviour, call.path) == (behaviour, "/v0/erase")]

    def calls(self, run_id: str) -> list[Call]:
        return [call for call in list(self._calls) if call.run_id == run_id]


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.provider = FakeProvider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.provider.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    provider: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is what half of the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        provider = cast(_Server, self.server).provider
        length = int(self.headers.get("content-length", "0"))
        behaviour, _, path = self.path.removeprefix("/").partition("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(behaviour, f"/{path}", headers, json.loads(self.rfile.read(length)))
        provider._calls.append(call)
        if behaviour == "hung":
            provider.let_go.wait(60)
        if behaviour == "slow":
            provider.let_go.wait(SLOW_SECONDS)
        status, body = _answer(call)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a test's output is for what failed."""


def _answer(call: Call) -> tuple[int, bytes]:
    if call.behaviour in _FAILURES:
        return _FAILURES[call.behaviour], b'{"oops": true}'
    if call.behaviour == "picky" and REFUSED in _asked(call):
        return 400, b'{"code": "INVALID_INVOKE_REQUEST"}'
    if call.path == "/v0/erase":
        return 200, b'{"schemaVersion": "v0", "accepted": true}'
    if call.behaviour == "nonsense":
        return 200, b"<html>maintenance</html>"
    said = "x" * BULKY_BYTES if call.behaviour == "bulky" else f"来自服务：{_asked(call)}"
    event = {"type": "assistant_message", "text": said}
    run_id = "run-of-someone-else" if call.behaviour == "impostor" else call.run_id
    if call.path == "/v0/interact":
        answer: dict[str, Any] = {"schemaVersion": "v0", "runId": run_id, "events": [event]}
    else:
        answer = {
            "schemaVersion": "v0",
            "runId": run_id,
            "providerId": call.body["run"]["providerId"],
            "ack": {"type": "ack", "message": "收到"},
            "immediateEvents": [event],
        }
        if EXPECTS in said or call.body["run"].get("continues"):
            answer["expectsReply"] = {}
        if call.body["run"].get("continues") and PASSED in said:
            answer["passes"] = True
    return 200, json.dumps(answer).encode()


def _asked(call: Call) -> str:
    if call.path == "/v0/interact":
        return str(call.body["interaction"]["actionId"])
    return str(call.body["input"].get("text"))
