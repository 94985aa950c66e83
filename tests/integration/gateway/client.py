"""What a client of the gateway does, over HTTP: messages, calls, the timeline, signatures."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.gateway.declared import check_declared
from tests.processes import ADAPTER_SECRET, CONTEXT_TOKEN
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.web.auth import signing
from uniassist.web.calling.client import Answer, JsonClient

Json = dict[str, Any]

DAY_MS = 24 * 60 * 60 * 1000
_numbers = itertools.count()


def now_ms() -> int:
    return int(time.time() * 1000)


def unique(prefix: str) -> str:
    """An id that no other test uses."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def message(text: str = "你好", **changed: object) -> Json:
    """A UnifiedUserInput; a None leaves the field out."""
    fields: Json = {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "userId": "user-1",
        "sessionId": unique("session"),
        "source": "app",
        "timestampMs": now_ms(),
        "text": text,
    } | changed
    return {name: value for name, value in fields.items() if value is not None}


def interaction(session_id: str, action_id: str, **changed: object) -> Json:
    return {
        "schemaVersion": "v0",
        "traceId": unique("trace"),
        "sessionId": session_id,
        "userId": "user-1",
        "providerId": "plan",
        "runId": "run-none",
        "actionId": action_id,
        "timestampMs": now_ms(),
    } | changed


def signed(body: bytes, *, nonce: str | None = None, at_ms: int | None = None) -> dict[str, str]:
    return signing.sign(
        ADAPTER_SECRET, body, now_ms=at_ms if at_ms is not None else now_ms(), nonce=nonce or signing.fresh_nonce()
    )


def decoded(answer: Answer) -> Json:
    return codec.decode(answer.body, Json)


def refused(answer: Answer, status: int, code: str, named: str = "") -> None:
    """The answer is that problem, it names the field, and it lets nothing out of the process."""
    problem = decoded(answer)
    assert (answer.status, problem.get("code")) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["schemaVersion"] == "v0"
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert named in problem["detail"], problem["detail"]
    assert "Traceback" not in answer.body.decode()


@dataclass(frozen=True)
class GatewayClient:
    """One gateway, as a client sees it. Whatever it answers must be something that it declares."""

    http: JsonClient
    url: str

    async def post(self, path: str, body: Json | bytes, headers: Mapping[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else codec.encode(body)
        answer = await self.http.request("POST", f"{self.url}{path}", body=raw, timeout_seconds=30, headers=headers)
        check_declared("POST", path, answer)
        return answer

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        answer = await self.http.request("GET", f"{self.url}{path}", timeout_seconds=30, headers=headers)
        check_declared("GET", path, answer)
        return answer

    async def ingest(self, body: Json, headers: Mapping[str, str] | None = None) -> Json:
        """The ack of an input that must be accepted."""
        answer = await self.post("/v0/ingest", body, headers)
        assert answer.status == 200, answer.body
        return decoded(answer)

    async def ingest_signed(self, body: Json) -> Json:
        return await self.ingest(body, signed(codec.encode(body)))

    async def report(self, *events: Json, provider_id: str = "work", **headers: str) -> Answer:
        """POST /v0/events with a good token."""
        body = {"schemaVersion": "v0", "providerId": provider_id, "events": events, "timestampMs": now_ms()}
        return await self.post("/v0/events", body, provider_headers("events:write") | headers)

    async def timeline(self, session_id: str, cursor: int = 0) -> list[Json]:
        answer = await self.get(f"/v0/timeline?sessionId={session_id}&cursor={cursor}")
        assert answer.status == 200, answer.body
        events: list[Json] = decoded(answer)["events"]
        return events

    async def when_over(self, session_id: str, run_id: str) -> list[Json]:
        """The timeline, once the run is over."""

        async def over() -> list[Json] | None:
            events = await self.timeline(session_id)
            return events if run_states(events, run_id)[-1:] in (["completed"], ["failed"]) else None

        return await eventually(over, f"{run_id} is over") or []

    async def metrics(self) -> Json:
        answer = await self.get("/v0/metrics")
        assert answer.status == 200, answer.body
        metrics: Json = decoded(answer)["metrics"]
        return metrics


def provider_headers(scopes: str | None, token: str = CONTEXT_TOKEN) -> dict[str, str]:
    named = {} if scopes is None else {"x-provider-scopes": scopes}
    return {"authorization": f"Bearer {token}", **named}


def run_states(events: Sequence[Json], run_id: str) -> list[str]:
    return [e["payload"]["status"] for e in events if e["kind"] == "provider_run" and e["runId"] == run_id]


def interactions(events: Sequence[Json], run_id: str | None = None) -> list[Json]:
    """The InteractionEvents on a timeline, of a run if given."""
    return [
        event["payload"]["event"]
        for event in events
        if event["kind"] == "interaction" and (run_id is None or event.get("runId") == run_id)
    ]


def seqs(events: Sequence[Json]) -> list[int]:
    return [event["seq"] for event in events]
