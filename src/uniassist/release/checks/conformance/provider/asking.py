"""The calls that the kit makes, and what came back: findings show it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from uniassist.contracts import codec
from uniassist.contracts.bounds import MAX_ANSWER_VALUES
from uniassist.contracts.provider import InteractResponse, InvokeResponse, ProviderManifest
from uniassist.contracts.streaming import EVENT_STREAM, JSON_OR_STREAM
from uniassist.release.checks.service_client import new_session, user_input
from uniassist.release.report.checklist import CheckFailed, equal
from uniassist.web.calling.client import Answer, JsonClient, OpenAnswer

MANIFEST_PATH = "/.well-known/uniassist/manifest.json"
SAMPLE_TEXT = "帮我安排一个计划"
_SHOWN_CHARACTERS = 400


@dataclass(frozen=True)
class Subject:
    """Who is looked at, and how.

    `token`: what the gateway shows it; None: nothing. `text`: a message that it answers.
    `late_text`: one whose run stays open. `deadline_seconds`, `idle_seconds`: of a call, and of a stream's silence.
    `events_port`: where we listen for late events, as a gateway at http://127.0.0.1:<port>; None: we don't.
    """

    url: str
    token: str | None = None
    text: str = SAMPLE_TEXT
    late_text: str | None = None
    deadline_seconds: float = 8.0
    idle_seconds: float = 30.0
    events_port: int | None = None


class Asking:
    """`received`: the last answer, in short. `slowest`: seconds and call of the slowest that was answered."""

    def __init__(self, client: JsonClient, subject: Subject) -> None:
        self._client = client
        self.subject = subject
        self.received = ""
        self.slowest = (0.0, "no call")
        self.provider_id = ""
        self._once = uuid.uuid4().hex[:12]
        self._at_ms = int(time.time() * 1000)

    def run_id(self, name: str) -> str:
        """The same for the same name, and another one whenever the kit is run."""
        return f"run-check-{name}-{self._once}"

    async def get(self, path: str) -> Answer:
        return await self._request("GET", path, None, {})

    async def post(self, path: str, body: object, *, token: str | None = None) -> Answer:
        """`body`: bytes are sent as they are. `token`: another one than the right one; empty: none."""
        raw = body if isinstance(body, bytes) else codec.encode(body)
        return await self._request("POST", path, raw, self._shown(token))

    async def manifest(self) -> ProviderManifest:
        answer = await self.get(MANIFEST_PATH)
        equal("status", answer.status, 200)
        return codec.decode(answer.body, ProviderManifest)

    async def invoke(self, body: object) -> InvokeResponse:
        answer = await self.post("/v0/invoke", body)
        _expect_json(answer)
        return codec.decode(answer.body, InvokeResponse, values=MAX_ANSWER_VALUES)

    async def interact(self, body: object) -> InteractResponse:
        answer = await self.post("/v0/interact", body)
        _expect_json(answer)
        return codec.decode(answer.body, InteractResponse, values=MAX_ANSWER_VALUES)

    @asynccontextmanager
    async def opened(self, body: object) -> AsyncIterator[OpenAnswer]:
        """An invoke that accepts a stream, once its head is there."""
        began = time.monotonic()
        url, headers = f"{self.subject.url}/v0/invoke", self._shown(None) | {"Accept": JSON_OR_STREAM}
        self.received = "nothing"
        async with asyncio.timeout(self._patience), self._client.opened(url, body, headers=headers) as answer:
            self._time("POST /v0/invoke, streamed", began)
            self.received = f"{answer.status}, {answer.media_type or 'no content-type'}"
            yield answer

    def call(
        self, text: str | None = None, *, run_id: str | None = None, attempt: int = 1, **run: Any
    ) -> dict[str, Any]:
        """An invoke; of a new run unless `run_id` is given. `run`: more members of it."""
        session_id = new_session()
        known = run_id or f"run-{session_id}"
        message = user_input(session_id, self.subject.text if text is None else text)
        # What an attempt repeats, it repeats to the letter.
        message |= {"traceId": f"trace-{known}"[:256], "sessionId": "check-session", "timestampMs": self._at_ms}
        return {
            "schemaVersion": "v0",
            "input": message,
            "context": _context(),
            "run": {
                "runId": known,
                "providerId": self.provider_id,
                "attempt": attempt,
                "idempotencyKey": f"check:{self.provider_id}",
                **run,
            },
        }

    def interaction(self, *, run_id: str | None = None) -> dict[str, Any]:
        known = run_id or f"run-{new_session()}"
        return {
            "schemaVersion": "v0",
            "interaction": {
                "schemaVersion": "v0",
                "traceId": f"trace-{known}"[:256],
                "sessionId": "check-session",
                "userId": "user-check",
                "providerId": self.provider_id,
                "runId": known,
                "actionId": "unheard_of",
                "timestampMs": self._at_ms,
            },
            "context": _context(),
            "run": {"runId": known, "attempt": 1, "idempotencyKey": f"check:{self.provider_id}"},
        }

    @property
    def _patience(self) -> float:
        """Beyond every deadline: what is late is said so by its own rule."""
        return 2 * self.subject.deadline_seconds + self.subject.idle_seconds

    def _shown(self, token: str | None) -> dict[str, str]:
        shown = self.subject.token if token is None else token
        return {"Authorization": f"Bearer {shown}"} if shown else {}

    async def _request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        began = time.monotonic()
        self.received = "nothing"
        answer = await self._client.request(
            method, self.subject.url + path, body=body, headers=headers, timeout_seconds=self._patience
        )
        self._time(f"{method} {path}", began)
        shown = answer.body.decode("utf-8", "replace")
        cut = "…" if len(shown) > _SHOWN_CHARACTERS else ""
        kind = answer.headers.get("content-type", "no content-type")
        self.received = f"{answer.status}, {kind}: {shown[:_SHOWN_CHARACTERS]!r}{cut}"
        return answer

    def _time(self, call: str, began: float) -> None:
        self.slowest = max(self.slowest, (time.monotonic() - began, call))


def _context() -> dict[str, Any]:
    user = {"userId": "user-check"}
    return {"schemaVersion": "v0", "user": user, "session": {"sessionId": "check-session"}, "permissions": []}


def _expect_json(answer: Answer) -> None:
    equal("status", answer.status, 200)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == EVENT_STREAM:
        raise AnsweredAsStream("expected application/json, which is all that was asked for; got text/event-stream")
    equal("content-type", kind, "application/json")


class AnsweredAsStream(CheckFailed):
    """What asked for JSON got a stream."""
