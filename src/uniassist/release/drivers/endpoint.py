"""What answers at a service's URL: asked directly, judged leniently, since it may be anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from uniassist.release.checks.health_words import checks_of, failing, in_words
from uniassist.web.calling.client import CallFailed, JsonClient, Unreachable

ASK_SECONDS = 2.0


@dataclass(frozen=True)
class Answered:
    """What came of one question for a service's health.

    ok: None: nobody answers, and `detail` says how.
    service: None: what answers is no health of ours.
    refused: nobody listens; it isn't just slow.
    failing: names of its checks that aren't ok.
    """

    ok: bool | None
    service: str | None = None
    revision: str | None = None
    env_digest: str | None = None
    instance: str | None = None
    detail: str = ""
    refused: bool = False  # nobody listens; not just slow
    failing: tuple[str, ...] = ()


async def ask(url: str, deadline_seconds: float = ASK_SECONDS) -> Answered:
    """GET `url`/health, never through a proxy."""
    try:
        async with JsonClient(connection_limit=1) as client:
            answer = await client.request("GET", f"{url}/health", timeout_seconds=deadline_seconds)
    except CallFailed as error:
        return Answered(None, detail=str(error), refused=isinstance(error, Unreachable))
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        return Answered(False, detail=f"{url}/health answers {answer.status}, and it is no health of ours")
    ok = answer.status == 200 and body["ok"]
    detail = "" if ok and not body.get("degraded") else _said(answer.status, body)
    return Answered(
        ok,
        service=_text(body, "service"),
        revision=_text(body, "revision"),
        env_digest=_text(body, "envDigest"),
        instance=_text(body, "instance"),
        detail=detail,
        failing=tuple(failing(checks_of(body))),
    )


def _text(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) else None


def _said(status: int, body: dict[str, Any]) -> str:
    words = in_words(checks_of(body))
    how = "degraded" if body.get("degraded") and body["ok"] else f"unhealthy ({status})"
    return f"{how}: {words}" if words else how
