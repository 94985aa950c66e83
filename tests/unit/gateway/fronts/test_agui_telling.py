"""Pieces of messages as AG-UI's text messages: what began anew with the same words isn't told twice."""

from __future__ import annotations

from typing import Any

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.streaming import DeltaFrame
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.agui.cursors import Cursor
from uniassist.gateway.fronts.agui.telling import Telling
from uniassist.gateway.fronts.traced import Traced


def piece(offset: int, text: str) -> DeltaFrame:
    named = {"session_id": "s", "run_id": "r", "message_id": "m"}
    return DeltaFrame(schema_version=SCHEMA_VERSION, type="delta", offset=offset, text=text, **named)


def said(text: str, seq: int = 3) -> TimelineEvent:
    return TimelineEvent(
        schema_version=SCHEMA_VERSION,
        event_id=f"e-{seq}",
        trace_id="t",
        session_id="s",
        user_id="u",
        provider_id="p",
        run_id="r",
        seq=seq,
        timestamp_ms=1,
        kind="interaction",
        payload={"event": {"type": "assistant_message", "messageId": "m", "text": text}, "source": "provider"},
    )


def shown(events: list[dict[str, Any]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for event in events:
        if event["type"] == "TEXT_MESSAGE_START":
            assert event["messageId"] not in texts
            texts[event["messageId"]] = ""
        elif event["type"] == "TEXT_MESSAGE_CONTENT":
            assert event["delta"], "no piece is empty"
            texts[event["messageId"]] += event["delta"]
    return texts


def test_the_same_words_again_are_passed_over() -> None:
    telling = Telling("s", "r1", Traced("s", "t"))
    told = [*telling.piece(piece(0, "half ")), *telling.piece(piece(5, "of"))]
    told += [*telling.piece(piece(0, "half")), *telling.piece(piece(4, " of it"))]
    assert shown(told) == {"r:m": "half of it"}
    assert shown([*told, *telling.event(said("half of it, and more"))]) == {"r:m": "half of it, and more"}


def test_other_words_are_another_message() -> None:
    telling = Telling("s", "r1", Traced("s", "t"))
    told = [*telling.piece(piece(0, "half")), *telling.piece(piece(0, "other"))]
    assert shown([*told, *telling.event(said("other words"))]) == {"r:m": "half", "r:m~2": "other words"}


def test_ids_grow_and_say_from_where_to_go_on() -> None:
    cursor = Cursor(4)
    frames = (
        cursor.frames([{"a": 1}, {"b": 2}]) + cursor.frames([{"c": 3}, {"d": 4}], 7) + cursor.frames([{"e": 5}])
    )
    ids = [line.removeprefix(b"id: ") for line in frames.split(b"\n") if line.startswith(b"id: ")]
    assert ids == [b"4.1", b"4.2", b"4.3", b"7", b"7.1"]
    again = Cursor.read("4.3", at="Last-Event-ID")
    assert (again.seq, again.frames([{"f": 6}])) == (4, b'id: 4.4\ndata: {"f":6}\n\n')
    assert cursor.frames([], 9) == b""
    assert cursor.frames([{"g": 7}]).startswith(b"id: 9.1\n"), "what tells nothing is passed all the same"
