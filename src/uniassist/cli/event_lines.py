"""A timeline event as a line that a person reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

from uniassist.contracts.timeline import TimelineEvent

WIDTH = 200


def line_of(event: TimelineEvent) -> str:
    """`seq  time  kind  what`, one line, whatever the payload holds."""
    at = dt.datetime.fromtimestamp(event.timestamp_ms / 1000).astimezone() if event.timestamp_ms >= 0 else None
    clock = at.strftime("%H:%M:%S") if at else "--:--:--"
    what = " ".join(what_of(event).split())
    shown = what if len(what) <= WIDTH else what[: WIDTH - 1] + "…"
    return f"{event.seq:>4}  {clock}  {event.kind:<16}  {shown}"


def what_of(event: TimelineEvent) -> str:
    payload: dict[str, Any] = event.payload if isinstance(event.payload, dict) else {}
    if event.kind == "inbound":
        message = payload.get("input", {})
        return f"{message.get('userId', '?')}: {message.get('text') or '(no text)'}"
    if event.kind == "routing_decision":
        candidates = ", ".join(f"{c['providerId']} {c['score']:.3f}" for c in payload.get("candidates", []))
        return f"{candidates or 'no candidate'} → fallback {payload.get('fallback', '?')}"
    if event.kind == "provider_run":
        return (
            f"{payload.get('providerId', '?')}: {payload.get('status', '?')} ({payload.get('routing_mode', '?')})"
        )
    if event.kind == "interaction":
        return f"{event.provider_id or payload.get('source', '?')}: {said(payload.get('event', {}))}"
    if event.kind == "user_interaction":
        return f"{payload.get('userId', '?')} took {payload.get('actionId', '?')}"
    if event.kind == "domain_event":
        inner = payload.get("event", {})
        return f"{inner.get('providerId', '?')} {inner.get('eventType', '?')}: {inner.get('title', '')}"
    if event.kind == "delivery_event":
        inner = payload.get("event", {})
        return f"{inner.get('channel', '?')}: {inner.get('outcome', '?')}, {len(inner.get('eventIds', []))} events"
    return ""


def said(event: dict[str, Any]) -> str:
    """An InteractionEvent in words."""
    kind = event.get("type", "?")
    if kind == "ack":
        return str(event.get("message") or "accepted")
    if kind == "assistant_message":
        return str(event.get("text", ""))
    if kind in ("card", "form"):
        labels = [action.get("label", "?") for action in event.get("actions") or []]
        return f"[{kind}] {event.get('title') or ''}" + (f" ({' | '.join(labels)})" if labels else "")
    if kind == "request_clarification":
        choices = " | ".join(choice.get("label", "?") for choice in event.get("choices", []))
        return f"{event.get('question', '')} ({choices})"
    if kind == "nav":
        return f"{event.get('label', '')} → {event.get('href', '')}"
    if kind == "error":
        return str(event.get("userMessage", ""))
    if kind == "provider_extension":
        payload = event.get("payload", {})
        fields = ", ".join((payload.get("dataSchema") or {}).get("properties", {}))
        return f"[{event.get('extensionKind', '?')}] {payload.get('status', '')}" + (
            f": {fields}" if fields else ""
        )
    return str(kind)
