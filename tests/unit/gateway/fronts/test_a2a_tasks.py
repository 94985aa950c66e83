"""A task told from the timeline: what is whole isn't begun anew by what a gateway that died was writing."""

from __future__ import annotations

from typing import Any

from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import Kind, TimelineEvent
from uniassist.gateway.fronts.a2a.tasks import Progress


def event(seq: int, kind: Kind, payload: dict[str, Any]) -> TimelineEvent:
    return TimelineEvent(
        schema_version="v0",
        event_id=f"event-{seq}",
        trace_id="t",
        session_id="s",
        user_id="u",
        provider_id="p",
        run_id="r",
        seq=seq,
        timestamp_ms=seq,
        kind=kind,
        payload=payload,
    )


def delta(message_id: str) -> DeltaFrame:
    return DeltaFrame(
        schema_version="v0", type="delta", session_id="s", run_id="r", message_id=message_id, offset=0, text="ha"
    )


def test_a_piece_of_what_is_whole_is_not_told() -> None:
    progress = Progress("s", "t")
    said = {"type": "assistant_message", "text": "half and whole", "messageId": "m1"}
    progress.take(event(1, "provider_run", {"status": "pending"}))
    assert progress.piece(delta("m1")) is not None
    progress.take(event(2, "interaction", {"event": said}))
    assert progress.piece(delta("m1")) is None
    assert progress.piece(delta("m2")) is not None
