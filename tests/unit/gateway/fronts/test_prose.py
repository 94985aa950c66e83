"""Events as one text that only grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts.interaction import AssistantMessage, Card
from uniassist.contracts.streaming import DeltaFrame
from uniassist.gateway.fronts.prose import Prose


def delta(text: str, offset: int, message_id: str = "m", run_id: str = "r") -> DeltaFrame:
    return DeltaFrame(
        schema_version="v0",
        type="delta",
        session_id="s",
        run_id=run_id,
        message_id=message_id,
        offset=offset,
        text=text,
    )


def message(text: str, message_id: str | None = "m") -> AssistantMessage:
    return AssistantMessage(text=text, message_id=message_id)


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_a_message_that_was_streamed_is_said_once_wherever_it_began_anew(
    pieces: list[str], data: st.DataObject
) -> None:
    whole = "".join(pieces)
    prose, said, at = Prose(), "", 0
    for piece in pieces:
        if data.draw(st.booleans()):  # another gateway took over, or the reader came back
            said, at = said + prose.delta(delta(whole[:at] + piece, 0)), at + len(piece)
        else:
            said, at = said + prose.delta(delta(piece, at)), at + len(piece)
    said += prose.event("r", message(whole)) + prose.end()
    assert said == whole


@given(st.lists(st.text(min_size=1), max_size=8))
def test_events_are_paragraphs_in_their_order(texts: list[str]) -> None:
    prose = Prose()
    said = "".join(prose.event("r", message(text, None)) for text in texts)
    assert said == "\n\n".join(texts)


def test_what_happens_while_a_message_is_written_waits_for_its_end() -> None:
    prose = Prose()
    said = prose.delta(delta("Good ", 0))
    assert prose.event("r", Card(title="a card")) == ""
    assert prose.delta(delta("other", 0, "other")) == ""
    said += prose.delta(delta("day", 5)) + prose.event("r", message("Good day!"))
    assert said == "Good day!\n\n**a card**"
    assert prose.event("r", message("other one", "other")) == "\n\nother one"


def test_words_that_were_other_ones_begin_a_new_paragraph() -> None:
    prose = Prose()
    said = prose.delta(delta("Once upon", 0)) + prose.delta(delta("Long", 0))
    assert said + prose.event("r", message("Long ago")) == "Once upon\n\nLong ago"


def test_a_message_without_an_end_holds_nothing_back_once_its_run_is_over() -> None:
    prose = Prose()
    prose.delta(delta("half", 0))
    assert prose.event("r", message("It is unavailable.", None)) == ""
    assert prose.run_ended("another") == ""
    assert prose.run_ended("r") == "\n\nIt is unavailable."
    assert prose.end() == ""
