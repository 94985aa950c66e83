"""A service under check: plain HTTP, answers as they are, and the inputs that checks send."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import quote

from uniassist.contracts import codec
from uniassist.contracts.bounds import MAX_ANSWER_VALUES
from uniassist.contracts.timeline import TimelineEvent, TimelinePage
from uniassist.release.report.checklist import CheckFailed, equal, expect
from uniassist.web.calling.client import Answer, JsonClient

CALL_SECONDS = 10.0


class ServiceClient:
    """One base URL. No check follows a redirect or keeps a cookie."""

    def __init__(self, client: JsonClient, url: str) -> None:
        self._client = client
        self.url = url

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return await self._client.request("GET", self.url + path, timeout_seconds=CALL_SECONDS, headers=headers)

    async def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else codec.encode(body)
        return await self._client.request(
            "POST", self.url + path, body=raw, timeout_seconds=CALL_SECONDS, headers=headers
        )

    async def timeline(
        self, session_id: str, cursor: int = 0, headers: dict[str, str] | None = None
    ) -> list[TimelineEvent]:
        answer = await self.get(f"/v0/timeline?sessionId={quote(session_id, safe='')}&cursor={cursor}", headers)
        equal("GET /v0/timeline", answer.status, 200)
        return codec.decode(answer.body, TimelinePage, values=MAX_ANSWER_VALUES).events


def user_input(session_id: str, text: str, **members: Any) -> dict[str, Any]:
    """A UnifiedUserInput of the app."""
    return {
        "schemaVersion": "v0",
        "traceId": f"check-{uuid.uuid4().hex}",
        "userId": "user-check",
        "sessionId": session_id,
        "source": "app",
        "timestampMs": int(time.time() * 1000),
        "text": text,
        **members,
    }


def new_session() -> str:
    return f"check-{uuid.uuid4().hex[:16]}"


def json_body(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        raise CheckFailed(f"expected JSON, got {answer.body[:120]!r}") from None


def expect_problem(answer: Answer, status: int, code: str, names: str = "") -> None:
    """RFC 9457 with the contract's members; `names` is what the detail must mention."""
    equal("status", answer.status, status)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    equal("content-type", kind, "application/problem+json")
    problem = json_body(answer)
    missing = {"schemaVersion", "type", "title", "status", "code", "detail"} - set(problem)
    expect(not missing, f"problem lacks {sorted(missing)}")
    equal("code", problem["code"], code)
    equal("problem.status", problem["status"], status)
    expect(names in problem["detail"], f"detail doesn't name {names}: {problem['detail']}")
