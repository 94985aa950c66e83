"""The ids under which AG-UI's clients know what the timeline has, and what of it is more than text. Pure."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from uniassist.contracts.inputs import HandedOver
from uniassist.contracts.interaction import (
    AssistantMessage,
    Card,
    Form,
    InteractionEvent,
    ProviderExtension,
    RequestClarification,
)
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.following import payload_of

CHANNEL = "ag-ui"
HAND_OVER = "hand_over"
Event: TypeAlias = dict[str, Any]


class _Decision(msgspec.Struct, frozen=True, rename="camel"):
    candidates: list[dict[str, Any]] = []
    handed_over: HandedOver | None = None


def message_id(event: TimelineEvent, said: InteractionEvent) -> str:
    if isinstance(said, AssistantMessage) and said.message_id is not None:
        return f"{event.run_id}:{said.message_id}"
    return event.event_id


def is_progress(said: InteractionEvent) -> bool:
    return isinstance(said, ProviderExtension) and said.payload.progress is not None


def activities(event: TimelineEvent, said: InteractionEvent) -> list[Event]:
    """What is more than text, as our own event; progress in the place of the progress before."""
    is_data = isinstance(said, Card | Form | RequestClarification | ProviderExtension)
    if not is_data and not (isinstance(said, AssistantMessage) and said.choices):
        return []
    activity_id = f"{event.run_id}:progress" if is_progress(said) else f"{event.event_id}:data"
    kind, content = str(said.__struct_config__.tag), msgspec.to_builtins(said)
    return [
        {
            "type": "ACTIVITY_SNAPSHOT",
            "messageId": activity_id,
            "activityType": "progress" if is_progress(said) else kind,
            "content": content,
            "replace": True,
        }
    ]


def handed_over(event: TimelineEvent) -> tuple[HandedOver, dict[str, Any]] | None:
    """What a chat's model asked for, with the call's arguments; None: the event is no hand-over."""
    if event.kind != "routing_decision":
        return None
    decision = payload_of(event, _Decision)
    if decision.handed_over is None or not decision.candidates:
        return None
    arguments: dict[str, Any] = {"provider": decision.candidates[0].get("providerId", "")}
    if decision.handed_over.text is not None:
        arguments["request"] = decision.handed_over.text
    return decision.handed_over, arguments


def tool_call_id(run_id: str) -> str:
    """Of the call that is answered by that run."""
    return f"{run_id}:call"


def tool_result_id(run_id: str) -> str:
    return f"{run_id}:result"


def tool_result(status: str) -> str:
    """What a specialist did is told in its own messages; the call only ends."""
    return f'{{"status": "{status}"}}'
