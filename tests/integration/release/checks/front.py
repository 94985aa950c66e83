"""A server before a service: passes everything on, but for what a test makes it answer wrongly."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Answer = tuple[int, bytes]
# Gets the request's path and headers and the true answer; returns the one to give.
Fault = Callable[[str, dict[str, str], Answer], Answer]


@contextmanager
def front(url: str, fault: Fault, *, keeps_streams_back: bool = False, streams: bool = True) -> Iterator[str]:
    """The URL of a server that answers as the service at `url` does, changed by `fault`.

    keeps_streams_back: an answer is passed on once it is whole, which an event stream never is.
    streams: False: `fault` answers for event streams as well, of which nothing is asked.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.behind, server.fault, server.keeps_streams_back = url, fault, keeps_streams_back
    server.streams = streams
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def changed_health(**members: Any) -> Fault:
    """The same health, but for `members`."""

    def fault(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        return (answer[0], json.dumps(json.loads(answer[1]) | members).encode()) if path == "/health" else answer

    return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behind: str
    fault: Fault
    keeps_streams_back: bool
    streams: bool

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that gives up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("content-length", "0"))))

    def _pass_on(self, body: bytes | None) -> None:
        server = cast(_Server, self.server)
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "host"}
        if self.path.startswith("/v0/stream") and not server.streams:
            self._answer(server.fault(self.path, headers, (200, b"")))
            return
        request = urllib.request.Request(server.behind + self.path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                if self.path.startswith("/v0/stream") and not server.keeps_streams_back:
                    self._stream(answer)
                    return
                found = (answer.status, answer.read())
        except urllib.error.HTTPError as error:
            found = (error.code, error.read())
        self._answer(server.fault(self.path, headers, found))

    def _answer(self, answer: Answer) -> None:
        status, content = answer
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: Any) -> None:
        """Line by line, until one of the two sides ends it."""
        self.send_response(answer.status)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for line in answer:
            self.wfile.write(line)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a test's output is for what failed."""
