"""The smallest service that a driver can run: /health from the environment. `python tiny.py SERVICE`."""

import http.server
import json
import os
import signal
import sys
import threading

service = sys.argv[1]
if os.environ.get("BROKEN"):
    sys.exit("tiny: the lamp is out of oil")


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        names = {"revision": "REVISION", "envDigest": "ENV_DIGEST", "instance": "INSTANCE"}
        body = {key: os.environ.get(f"UNIASSIST_{name}") for key, name in names.items()}
        answer = json.dumps(
            {"ok": True, "service": service, "pid": os.getpid(), "lamp": os.environ.get("LAMP"), **body}
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_arguments: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ[f"{service.upper()}_PORT"])), Health)
stubborn = bool(os.environ.get("STUBBORN"))
signal.signal(
    signal.SIGTERM,
    lambda *_: print("not now", flush=True) if stubborn else threading.Thread(target=server.shutdown).start(),
)
print(f"tiny: lit, {os.environ.get('UNIASSIST_REVISION')}", flush=True)
server.serve_forever(0.02)
