"""The gateway as provider-plan sees it: late events, each taken once by its id, or held for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class EventsServer:
    """`calls`: of all that came, in order; while `holds` is set none is answered, though each is heard."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def heard(self, user_id: str) -> list[dict[str, Any]]:
        """The items about that person."""
        items = [each for call in list(self.calls) for each in call["events"]]
        return [each for each in items if each["event"]["userId"] == user_id]


@contextmanager
def events_server() -> Iterator[EventsServer]:
    known = EventsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            held = known.holds.is_set()
            known.calls.append(body | {"authorization": self.headers["authorization"]})
            if held:
                known.ended.wait(60)
                return
            said = json.dumps({"schemaVersion": "v0", "accepted": len(body["events"]), "rejected": 0}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        known.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
