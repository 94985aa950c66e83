"""What a call's answer says while it comes: shown, written once, passed over where it was written before."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from uniassist.contracts import codec, examples
from uniassist.contracts.interaction import AssistantMessage
from uniassist.gateway.hearing import Hearing
from uniassist.gateway.live.board import Board, Shown
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import CallRow
from uniassist.web.calling.client import BadAnswer

REQUEST = examples.INVOKE_REQUEST
CALL = CallRow("call-1", "run-1", "s", "plan", "invoke", codec.encode(REQUEST).decode(), None)


@dataclass
class Heard:
    """A hearing, the turns that it submitted, and what a reader sees of it."""

    written: int = 0
    board: Board = field(default_factory=Board)
    turns: list[Turn] = field(default_factory=list)
    shown: Shown = field(default_factory=Shown)

    def __post_init__(self) -> None:
        attempt = 2 if self.written else 1
        self.hearing = Hearing(CALL, REQUEST, attempt, self.board, self._submit, self.written)

    async def _submit(self, turn: Turn) -> None:
        assert self.seen() == b"", "what is being committed isn't shown any more"
        self.turns.append(turn)

    def seen(self) -> bytes:
        return self.board.news("s", None, self.shown)


async def test_events_are_numbered_and_leave_the_call_open() -> None:
    heard = Heard()
    heard.hearing.delta("m1", "half")
    assert b'"offset":0,"text":"half"' in heard.seen()
    heard.hearing.delta("m1", " and more")
    await heard.hearing.event(AssistantMessage(text="whole", message_id="m1"))
    await heard.hearing.event(AssistantMessage(text="more"))
    keys = [turn.idempotency for turn in heard.turns]
    assert [(key.scope, key.key) for key in keys if key is not None] == [("call:call-1", "0"), ("call:call-1", "1")]
    assert [(turn.call_id, turn.ends_call) for turn in heard.turns] == [("call-1", False)] * 2
    assert heard.hearing.unfinished() == []


async def test_what_an_earlier_attempt_wrote_is_not_shown_again() -> None:
    heard = Heard(written=1)
    heard.hearing.delta("m1", "again")
    heard.hearing.delta("m2", "be")
    assert heard.seen() == b""
    await heard.hearing.event(AssistantMessage(text="again", message_id="m1"))
    assert heard.seen() == b""
    heard.hearing.delta("m2", "gun")
    assert b'"offset":0,"text":"begun"' in heard.seen(), "with what came of it before"


async def test_what_is_given_up_is_shown_no_more() -> None:
    heard = Heard()
    heard.hearing.delta("m1", "some")
    heard.hearing.close()
    assert heard.seen() == b""
    assert heard.board.begin("s", ("run-1", "m1"), None, 1) is None


async def test_a_message_that_is_finished_takes_nothing_more() -> None:
    heard = Heard()
    await heard.hearing.event(AssistantMessage(text="whole", message_id="m1"))
    with pytest.raises(BadAnswer, match="m1"):
        heard.hearing.delta("m1", "more")
    with pytest.raises(BadAnswer, match="m1"):
        await heard.hearing.event(AssistantMessage(text="other", message_id="m1"))
    assert len(heard.turns) == 1
