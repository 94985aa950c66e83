"""What others wrote is shown by every command, and obeyed by no terminal."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from uniassist.cli import main

HOSTILE = "x\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\r\x7f\u2028y"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class _Hostile(BaseHTTPRequestHandler):
    """A gateway that has taken over: whatever it is asked, it answers with hostile texts."""

    def do_GET(self) -> None:
        is_health = self.path.startswith("/health")
        event = {
            "schemaVersion": "v0",
            "eventId": HOSTILE,
            "traceId": HOSTILE,
            "sessionId": "s",
            "userId": HOSTILE,
            "seq": 1,
            "timestampMs": 1,
            "kind": "inbound",
            "payload": {"input": {"userId": HOSTILE, "text": HOSTILE}},
        }
        health = {"ok": False, "service": HOSTILE, "revision": HOSTILE, "checks": {HOSTILE: HOSTILE}}
        page = {"schemaVersion": "v0", "sessionId": "s", "events": [event], "nextCursor": 1}
        self._answer(503 if is_health else 200, health if is_health else page)

    def do_POST(self) -> None:
        self._answer(400, {"title": HOSTILE, "detail": HOSTILE, "code": HOSTILE, "status": 400})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def row(database_url: str) -> str:
    """A database whose outbox has a hostile row."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO outbox_events (event_id, session_id, channel, status, last_error, consumed_by)"
            " VALUES (%(text)s, %(text)s, %(text)s, 'dead_letter', %(text)s, %(text)s)",
            {"text": HOSTILE},
        )
    return database_url


def run(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["uniassist", *arguments])
    with pytest.raises(SystemExit):
        main.main()
    out, err = capfd.readouterr()
    return out + err


@pytest.mark.parametrize(
    "command",
    [
        ("timeline", "s", "--url"),
        ("timeline", "s", "--json", "--url"),
        ("send", "hello", "--session", "s", "--url"),
        ("status", "--url"),
        ("status", "--json", "--url"),
        ("smoke", "--gateway-url"),
    ],
    ids=" ".join,
)
def test_a_hostile_gateway_moves_no_cursor(
    command: tuple[str, ...],
    hostile: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run((*command, hostile), monkeypatch, capfd)
    assert said
    assert OBEYED.findall(said) == []


@pytest.mark.parametrize(
    "command",
    [
        ("outbox", "list", "--status", "dead_letter"),
        ("outbox", "list", "--status", "dead_letter", "--json"),
        ("outbox", "show", HOSTILE),
        ("outbox", "show", f"{HOSTILE}-unknown"),
        ("outbox", "replay", "--event-id", HOSTILE, "--token", HOSTILE),
    ],
    ids=["list", "list --json", "show", "show unknown", "replay"],
)
def test_a_hostile_row_moves_no_cursor(
    command: tuple[str, ...],
    row: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", row)
    said = run(command, monkeypatch, capfd)
    assert said
    assert OBEYED.findall(said) == []
