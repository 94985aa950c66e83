"""The messages that stand on a timeline, as AG-UI's, under the ids that they have while they come. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.contracts.timeline import InboundPayload, TimelineEvent
from uniassist.gateway.fronts.agui import naming
from uniassist.gateway.fronts.agui.naming import Event
from uniassist.gateway.fronts.asking import text_of
from uniassist.gateway.fronts.following import has_ended, payload_of, run_status, said_in


def history(events: Iterable[TimelineEvent]) -> Event:
    """`events`: in seq order."""
    messages: dict[str, Event] = {}
    spoken: dict[str, str] = {}  # a run → its newest message
    calls: dict[str, str] = {}  # a run that answers a call → the message that has the call
    for event in events:
        if event.kind == "inbound":
            said_by_user = payload_of(event, InboundPayload).input
            message_id = _of_user(event, said_by_user, messages)
            messages[message_id] = {"id": message_id, "role": "user", "content": said_by_user.text or ""}
        elif (found := naming.handed_over(event)) is not None:
            over, arguments = found
            call_id = naming.tool_call_id(over.run_id)
            owner = calls[over.run_id] = spoken.get(over.by_run_id, call_id)
            function = {"name": naming.HAND_OVER, "arguments": codec.encode(arguments).decode()}
            call = {"id": call_id, "type": "function", "function": function}
            message = messages.setdefault(owner, {"id": owner, "role": "assistant"})
            message.setdefault("toolCalls", []).append(call)
        elif has_ended(event) and event.run_id in calls:
            _answer(messages, calls.pop(event.run_id), event.run_id, run_status(event))
        elif (said := said_in(event)) is not None:
            if (text := text_of(said)) and not naming.is_progress(said):
                message_id = naming.message_id(event, said)
                messages[message_id] = {"id": message_id, "role": "assistant", "content": text}
                spoken[event.run_id or ""] = message_id
            for each in naming.activities(event, said):
                kept = {"id": each["messageId"], "role": "activity", "activityType": each["activityType"]}
                messages[each["messageId"]] = kept | {"content": each["content"]}
    return {"type": "MESSAGES_SNAPSHOT", "messages": list(messages.values())}


def _of_user(event: TimelineEvent, said: UnifiedUserInput, taken: dict[str, Event]) -> str:
    """The client's own id of it, where it was written by one."""
    channel = said.channel
    if channel is None or channel.id != naming.CHANNEL or channel.message_id is None or channel.message_id in taken:
        return event.event_id
    return channel.message_id


def _answer(messages: dict[str, Event], owner: str, run_id: str, status: str) -> None:
    """The call's answer, right behind the message that has the call and other answers to its calls."""
    answer_id = naming.tool_result_id(run_id)
    answer = {
        "id": answer_id,
        "role": "tool",
        "toolCallId": naming.tool_call_id(run_id),
        "content": naming.tool_result(status),
    }
    rest = list(messages.items())
    at = list(messages).index(owner) + 1
    while at < len(rest) and rest[at][1]["role"] == "tool":
        at += 1
    messages.clear()
    messages.update([*rest[:at], (answer_id, answer), *rest[at:]])
