"""Four small services with a real health, each a process of its own, whose state a test sets by a file."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.processes import ForkedServer

MODULE = "tests.integration.release.watch.tiny_services"
ROLLOUT_ORDER = ("provider-plan", "adapter-wechat", "gateway", "worker")


class TinySystem:
    """Its checks by URL fail, since nothing but health answers; tests that need them use the real services."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes = [ForkedServer(name, folder / f"{name}.log") for name in ROLLOUT_ORDER]
        self._ports = {name: free_port() for name in ROLLOUT_ORDER}

    def start(self) -> None:
        for process in self._processes:
            self.set(process.name, status=200)
            told = [process.name, str(self._ports[process.name]), str(self._folder)]
            process.spawn([sys.executable, "-m", MODULE, *told], env=os.environ)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()

    def kill(self, service: str) -> None:
        next(process for process in self._processes if process.name == service).kill()

    def set(self, service: str, *, status: int, **checks: str) -> None:
        body = {"ok": status == 200, "service": service, "version": "1", "revision": "v42", "checks": checks}
        path = self._folder / f"{service}.json"
        path.with_suffix(".new").write_text(json.dumps({"status": status, "body": body}))
        path.with_suffix(".new").replace(path)

    @property
    def variables(self) -> dict[str, str]:
        return {
            f"STAGING_{name.upper().replace('-', '_')}_BASE_URL": f"http://127.0.0.1:{port}"
            for name, port in self._ports.items()
        }


def main() -> None:
    name, port, folder = sys.argv[1:]
    path = Path(folder) / f"{name}.json"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said: dict[str, Any] = json.loads(path.read_text())
            content = json.dumps(said["body"]).encode()
            self.send_response(said["status"] if self.path == "/health" else 404)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
