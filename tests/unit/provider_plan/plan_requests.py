"""Calls as the gateway makes them, for the tests to vary."""

from __future__ import annotations

from typing import Any

import msgspec

from uniassist.contracts.provider import InteractRequest, InvokeRequest

NOW_MS = 1_772_000_000_000  # 2026-02-25, 14:13 in Beijing


def invoke_body(text: str = "帮我做个计划", **changed: Any) -> dict[str, Any]:
    message = {
        "schemaVersion": "v0",
        "traceId": "trace-1",
        "userId": "user-1",
        "sessionId": "session-1",
        "source": "app",
        "timestampMs": NOW_MS,
        "text": text,
    }
    return {
        "schemaVersion": "v0",
        "input": message | changed.pop("input", {}),
        "context": {"schemaVersion": "v0", "user": {"userId": "user-1"}, "permissions": []}
        | changed.pop("context", {}),
        "run": {"runId": "run-1", "providerId": "plan", "attempt": 1, "idempotencyKey": "trace-1:plan"}
        | changed.pop("run", {}),
    } | changed


def interact_body(payload: Any = None, action_id: str = "submit_data_collection", **changed: Any) -> dict[str, Any]:
    interaction = {
        "schemaVersion": "v0",
        "traceId": "trace-2",
        "sessionId": "session-1",
        "userId": "user-1",
        "providerId": "plan",
        "runId": "run-1",
        "actionId": action_id,
        "payload": payload,
        "timestampMs": NOW_MS,
    }
    return {
        "schemaVersion": "v0",
        "interaction": interaction | changed.pop("interaction", {}),
        "context": {"schemaVersion": "v0", "user": {"userId": "user-1"}, "permissions": []}
        | changed.pop("context", {}),
        "run": {"runId": "run-1", "attempt": 1, "idempotencyKey": "run-1:5"} | changed.pop("run", {}),
    } | changed


def english() -> dict[str, Any]:
    return {"schemaVersion": "v0", "user": {"userId": "user-1", "locale": "en-GB"}, "permissions": []}


def invocation(text: str = "帮我做个计划", **changed: Any) -> InvokeRequest:
    return msgspec.convert(invoke_body(text, **changed), InvokeRequest)


def interaction(payload: Any = None, action_id: str = "submit_data_collection", **changed: Any) -> InteractRequest:
    return msgspec.convert(interact_body(payload, action_id, **changed), InteractRequest)
