"""Stands before a gateway: passes pushes on, and kills who pushed before it hears the answer."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def deadly(gateway_url: str, kill: Callable[[], None]) -> Iterator[str]:
    """Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = ("Content-Type", "Authorization")
            headers = {name: self.headers[name] for name in names if self.headers[name]}
            asked = urllib.request.Request(f"{gateway_url}{self.path}", data=body, headers=headers)
            with urllib.request.urlopen(asked, timeout=20) as answer:
                answer.read()
            kill()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
