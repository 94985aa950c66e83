"""What `up` and `status` say of services in every condition, against servers that answer so."""

from __future__ import annotations

import io
import json
import shlex
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console
from tests.ports import free_port

from uniassist.contracts.codec import decode
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.devstack import screen
from uniassist.devstack.state import RunState, ServiceState

_ANSWERS = {
    "/ok/health": (200, {"ok": True, "checks": {"postgres": "ok"}, "revision": "abc"}),
    "/degraded/health": (200, {"ok": True, "degraded": True, "checks": {"postgres": "ok", "redis": "failing"}}),
    "/failing/health": (503, {"ok": False, "checks": {"postgres": "failing", "redis": "ok"}}),
}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = _ANSWERS.get(self.path, (500, None))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if body is not None else b"nonsense")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def _state(*services: ServiceState) -> RunState:
    database = "postgresql://postgres:s3cret-word@127.0.0.1:5001/uniassist"
    return RunState(4711, time.time(), True, database, "redis://127.0.0.1:6001/0", list(services))


def _shown(width: int, state: RunState, *, attached: bool = True) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    screen.show(console, state, screen.look(state), "/srv/state")
    screen.show_next(console, state, attached=attached, command="uniassist", state_option=" --state-dir /srv/state")
    return out.getvalue()


def test_each_condition_is_told_apart(url: str) -> None:
    conditions = {
        "ok": ServiceState("ok", f"{url}/ok", 1),
        "degraded": ServiceState("degraded", f"{url}/degraded", 2),
        "failing": ServiceState("failing", f"{url}/failing", 3),
        "no answer": ServiceState("mute", f"http://127.0.0.1:{free_port()}", 4),
        "down": ServiceState("down", f"{url}/ok", None),
    }
    seen = screen.look(_state(*conditions.values()))
    assert [service.health for service in seen] == list(conditions)
    assert [service.failing for service in seen] == [[], ["redis"], ["postgres"], [], []]
    assert seen[0].revision == "abc"


def test_an_answer_that_is_no_health_report_is_no_answer(url: str) -> None:
    (seen,) = screen.look(_state(ServiceState("odd", f"{url}/odd", 1)))
    assert seen.health == "no answer"


def test_the_curl_line_is_one_line_at_any_width_and_its_body_is_what_the_gateway_reads(url: str) -> None:
    for width in (40, 80, 200):
        shown = _shown(width, _state(ServiceState("gateway", f"{url}/ok", 1)))
        line = next(line for line in shown.splitlines() if "/v0/ingest" in line)
        words = shlex.split(line)
        assert words[:3] == ["curl", "-s", f"{url}/ok/v0/ingest"]
        message = decode(words[words.index("-d") + 1].encode(), UnifiedUserInput)
        assert message.source == "app"
        assert abs(message.timestamp_ms - time.time() * 1000) < 60_000


def test_no_password_is_shown_and_the_way_out_is(url: str) -> None:
    state = _state(ServiceState("gateway", f"{url}/ok", 1))
    attached, detached = _shown(80, state), _shown(80, state, attached=False)
    assert "s3cret-word" not in attached + detached
    assert "Ctrl-C" in attached
    assert "uniassist down --state-dir /srv/state" in detached
