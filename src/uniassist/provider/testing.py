"""For the tests of providers, in any language: one as a process, and what it says to a message."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_MANIFEST = "/.well-known/uniassist/manifest.json"
_CALL_SECONDS = 20.0
_POLL_SECONDS = 0.05


@contextmanager
def running(
    command: Sequence[str],
    *,
    directory: Path | None = None,
    env: Mapping[str, str] | None = None,
    within_seconds: float = 30.0,
) -> Iterator[str]:
    """Start `command` with a free PORT; its URL, once its manifest is there. It is stopped at the end.

    `env`: beside this process's own environment. AssertionError, with what it printed, when it doesn't start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; a pipe that nobody reads would fill up
    process = subprocess.Popen(
        list(command),
        cwd=directory,
        env={**os.environ, **(env or {}), "PORT": str(port)},
        stdout=printed,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + within_seconds
        while not _answers(url + _MANIFEST):
            assert process.poll() is None, f"it ended: {_from_start(printed)}"
            assert time.monotonic() < deadline, f"nothing at {url}{_MANIFEST} within {within_seconds:g} seconds"
            time.sleep(_POLL_SECONDS)  # another process, of anybody's making: only asking it tells
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        printed.close()


def ask(url: str, text: str, *, token: str | None = None, locale: str = "en", **run: Any) -> list[dict[str, Any]]:
    """What the provider at `url` says to a message: its events, as the contract has them.

    `run`: members of the run: `runId`, to ask again; `continues` and `hint`, for a reply.
    """
    with urllib.request.urlopen(url + _MANIFEST, timeout=_CALL_SECONDS) as answer:  # noqa: S310 - the caller's own URL
        provider_id = json.load(answer)["providerId"]
    user = {"userId": "user-test", "locale": locale}
    body = {
        "schemaVersion": "v0",
        "input": {
            "schemaVersion": "v0",
            "traceId": "trace-test",
            "userId": "user-test",
            "sessionId": "session-test",
            "source": "app",
            "timestampMs": int(time.time() * 1000),
            "text": text,
        },
        "context": {"schemaVersion": "v0", "user": user, "permissions": []},
        "run": {"runId": f"run-{uuid.uuid4().hex}", "providerId": provider_id, "attempt": 1}
        | {"idempotencyKey": f"trace-test:{provider_id}"}
        | run,
    }
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    call = urllib.request.Request(f"{url}/v0/invoke", data=json.dumps(body).encode(), headers=headers)  # noqa: S310
    with urllib.request.urlopen(call, timeout=_CALL_SECONDS) as answer:  # noqa: S310
        said = json.load(answer)
    return [said["ack"], *said.get("immediateEvents", [])]


def texts(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The messages among events."""
    return [str(event["text"]) for event in events if event["type"] == "assistant_message"]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _from_start(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
