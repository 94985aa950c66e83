"""What a request waits for, by its events: answers to forms beside a message, in whatever order they came."""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import pytest

from uniassist.contracts.base import SCHEMA_VERSION
from uniassist.contracts.timeline import TimelineEvent
from uniassist.gateway.fronts.traced import Traced

Kind = Literal["inbound", "user_interaction", "provider_run"]


def event(seq: int, kind: Kind, run_id: str | None, payload: object = None) -> TimelineEvent:
    return TimelineEvent(
        schema_version=SCHEMA_VERSION,
        event_id=f"e-{seq}",
        trace_id="t",
        session_id="s",
        user_id="u",
        provider_id="p",
        run_id=run_id,
        seq=seq,
        timestamp_ms=seq,
        kind=kind,
        payload=payload or {},
    )


WRITTEN: list[list[tuple[Kind, str | None, object]]] = [
    [("user_interaction", "form", None)],
    [("user_interaction", "menu", None)],
    [("inbound", None, None), ("provider_run", "asked", {"status": "completed"})],
]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_request_is_not_over_while_a_form_that_it_answers_may_owe_something(order: tuple[int, ...]) -> None:
    traced = Traced("s", "t")
    written = [each for at in order for each in WRITTEN[at]]
    for seq, (kind, run_id, payload) in enumerate(written, 1):
        traced.note(event(seq, kind, run_id, payload))
    following = traced.following(is_whole=False)
    assert following.interacts_with == {"form", "menu"}
    assert not following.is_over


def test_a_message_alone_is_over_with_its_runs() -> None:
    traced = Traced("s", "t")
    for seq, (kind, run_id, payload) in enumerate(WRITTEN[2], 1):
        traced.note(event(seq, kind, run_id, payload))
    assert traced.following(is_whole=False).is_over
