"""Turns of a batch: each sees what came before it, a refused one leaves nothing, no seq is left out."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gateway.turns.book import CATALOGUE, NOW_MS, PLAN_URL, Book, decoded, facts_of, ingest, interact

from uniassist.contracts import codec
from uniassist.contracts.inputs import RunCancellation, UnifiedUserInput
from uniassist.contracts.interaction import AssistantMessage
from uniassist.contracts.provider import InvokeRequest
from uniassist.errors import IdempotencyMismatch, InvalidSignature, SessionNotFound, UniAssistError
from uniassist.gateway.provider_answer import ProviderAnswer, request_of
from uniassist.gateway.providers.kinds.kind import Said
from uniassist.gateway.turns.access import Caller
from uniassist.gateway.turns.batch import Batch, BatchFacts, CallLost
from uniassist.gateway.turns.cancel import Cancel
from uniassist.gateway.turns.draft import Draft
from uniassist.gateway.turns.ingest import TOPIC_CHARACTERS
from uniassist.gateway.turns.turn import Turn
from uniassist.store.ledger import CallRow, Opening, RunFacts, Session

DAY_MS = 24 * 60 * 60 * 1000


def test_an_input_becomes_its_events_in_the_contracts_order() -> None:
    book = Book()
    ack = decoded(book.commit(ingest("计划 工作"))[0])
    assert book.kinds("s") == [
        "inbound",
        "routing_decision",
        "provider_run",
        "provider_run",
        "interaction",
        "interaction",
    ]
    assert [event.seq for event in book.timeline("s")] == [1, 2, 3, 4, 5, 6]
    assert {run["providerId"]: run["mode"] for run in ack["runs"]} == {"plan": "async", "work": "async"}
    assert {run.provider_id: run.status for run in book.runs.values()} == {"plan": "pending", "work": "failed"}
    assert len(book.owed) == 1, "who isn't connected isn't called"


def test_what_is_said_of_a_run_carries_the_run() -> None:
    """That a provider isn't connected, as well as the builtin answer; advice is nobody's."""
    book = Book()
    book.commit(ingest("计划 工作"), ingest("你好", session="b"))
    work, chat = (
        next(run for run in book.runs.values() if run.provider_id == it) for it in ("work", "builtin_chat")
    )
    said = [(event.provider_id, event.run_id) for event in book.timeline("s") if event.kind == "interaction"]
    assert said == [("work", work.run_id), (None, None)]
    [answer] = [event for event in book.timeline("b") if event.kind == "interaction"]
    assert (answer.provider_id, answer.run_id) == ("builtin_chat", chat.run_id)


def test_inputs_of_one_batch_see_each_other() -> None:
    book = Book()
    acks = [decoded(answer) for answer in book.commit(ingest("计划"), ingest("你好"), ingest("计划", session="b"))]
    assert [ack["stream"]["cursor"] for ack in acks] == [0, 3, 0]
    assert acks[1]["routing"]["candidates"][0]["score"] == 0.15
    assert [event.seq for event in book.timeline("s")] == [1, 2, 3, 4, 5, 6, 7]


def test_a_session_belongs_to_the_first_whose_input_is_accepted() -> None:
    book = Book(keys={("ingest:thief", "k"): (b"other", b"{}")})
    refused, accepted, intruder = book.commit(
        ingest(user="thief", key="k"), ingest(user="owner"), ingest(user="thief")
    )
    assert isinstance(refused, IdempotencyMismatch)
    assert decoded(accepted)["userId"] == "owner"
    assert isinstance(intruder, SessionNotFound)
    assert book.sessions["s"].user_id == "owner"
    assert {event.user_id for event in book.events} == {"owner"}


def test_a_session_that_was_opened_for_refused_turns_is_not_kept() -> None:
    book = Book(nonces={"n"})
    [refused] = book.commit(ingest(signed=True, nonce="n"))
    assert isinstance(refused, InvalidSignature)
    assert book.unused == ["s"]
    assert (book.sessions, book.events) == ({}, [])


def test_an_interaction_does_not_see_a_session_that_is_only_about_to_begin() -> None:
    book = Book()
    early, ack, late = book.commit(interact("switch_provider:work"), ingest(), interact("switch_provider:work"))
    assert isinstance(early, SessionNotFound)
    assert decoded(ack)["stream"]["cursor"] == 0
    assert decoded(late) == {"accepted": True}
    assert book.kinds("s")[0] == "inbound"


def test_a_nonce_is_taken_once_within_a_batch_and_not_by_a_refused_turn() -> None:
    book = Book()
    book.commit(ingest(session="theirs", user="other"))
    answers = book.commit(
        ingest(session="theirs", signed=True, nonce="n"),
        ingest(signed=True, nonce="n"),
        ingest(signed=True, nonce="n"),
    )
    assert isinstance(answers[0], SessionNotFound)
    assert isinstance(answers[1], bytes)
    assert isinstance(answers[2], InvalidSignature)
    assert book.nonces == {"n"}


def test_a_key_is_answered_once_within_a_batch_and_after() -> None:
    book = Book()
    first, again, other = book.commit(ingest(key="k"), ingest(key="k"), ingest(key="k", body_hash=b"changed"))
    assert first == again == book.commit(ingest(key="k"))[0]
    assert isinstance(other, IdempotencyMismatch)
    assert len(book.events) == 4


def test_a_channels_message_is_the_same_in_any_clothes() -> None:
    book = Book()
    first, again = book.commit(
        ingest("一", key="message:wechat:1", body_hash=b""), ingest("二", key="message:wechat:1", body_hash=b"")
    )
    assert first == again


def test_a_retry_of_a_signed_input_uses_up_its_own_nonce() -> None:
    book = Book()
    answers = book.commit(ingest(signed=True, nonce="a", key="k"), ingest(signed=True, nonce="b", key="k"))
    assert answers[0] == answers[1]
    assert book.nonces == {"a", "b"}


@pytest.mark.parametrize("apart", [False, True])
def test_a_pause_of_more_than_a_day_splits_also_within_a_batch(apart: bool) -> None:
    book = Book()
    turns = [ingest(at_ms=NOW_MS - DAY_MS - 1), ingest("又来了"), ingest("再来")]
    answers = [book.commit(turn)[0] for turn in turns] if apart else book.commit(*turns)
    first, second, third = (decoded(answer)["sessionId"] for answer in answers)
    assert first == "s" != second == third
    assert book.sessions["s"].successor_id == second
    assert book.kinds("s").count("inbound") == 1
    assert book.kinds(second).count("inbound") == 2


def test_the_session_that_clients_name_points_at_the_newest() -> None:
    book = Book()
    for days in range(4, -1, -1):
        newest = decoded(book.commit(ingest(at_ms=NOW_MS - days * (DAY_MS + 1)))[0])["sessionId"]
    assert len(book.sessions) == 5
    assert book.sessions["s"].successor_id == newest


def test_a_shortened_line_is_written_down() -> None:
    """The group commit looked past sessions that it needn't lock; the named one is to remember that."""
    old = Session("old", "u", 4, NOW_MS, False, "newest", "{}", False)
    newest = Session("newest", "u", 4, NOW_MS, False, None, "{}", False)
    batch = Batch(BatchFacts({"old": old, "newest": newest}, shortened={"old"}), NOW_MS)
    batch.decide(ingest(session="old"))
    assert {session.session_id: session.successor_id for session in batch.rows.sessions} == {
        "newest": None,
        "old": "newest",
    }


def test_the_same_long_text_is_no_change_of_topic() -> None:
    book = Book()
    text = "".join(chr(0x4E00 + n) for n in range(15_000))
    book.commit(*(ingest(text) for _ in range(4)))
    assert not any(event["type"] == "card" for event in book.shown("s"))


def test_a_change_of_topic_offers_a_new_session() -> None:
    book = Book()
    book.commit(*(ingest(text) for text in ("红烧肉要炖多长时间", "明天北京会下雨吗", "财务报表放在哪里了")))
    [card] = [event for event in book.shown("s") if event["type"] == "card"]
    assert "话题变化" in card["title"]
    assert [action["actionId"] for action in card["actions"]] == ["new_session:auto"]


def test_a_lead_of_two_turns_offers_the_switch() -> None:
    book = Book()
    book.commit(ingest("计划"), *(ingest("你好") for _ in range(6)), ingest("工作"), ingest("工作"))
    [card] = [event for event in book.shown("s") if event["type"] == "card"]
    assert card["title"] == "建议切换到 work"
    assert [action["actionId"] for action in card["actions"]] == ["switch_provider:work"]


def test_what_a_turn_had_drafted_before_it_failed_is_gone() -> None:
    def fails(draft: Draft, _run: RunFacts | None) -> bytes:
        draft.append("error", {}, trace_id="t")
        draft.continue_in("elsewhere", NOW_MS)
        raise SessionNotFound("no")

    book = Book()
    book.commit(ingest())
    refused, ack = book.commit(Turn("s", fails), ingest())
    assert isinstance(refused, SessionNotFound)
    assert decoded(ack)["stream"]["cursor"] == 4
    assert [event.seq for event in book.timeline("s")] == list(range(1, 9))
    assert book.sessions.keys() == {"s"}


def call_of(book: Book) -> tuple[CallRow, RunFacts]:
    batch = Batch(BatchFacts({"s": Session("s", "u", 0, NOW_MS, False, None, "{}", True)}), NOW_MS)
    batch.decide(ingest("计划"))
    rows = batch.rows
    book.sessions["s"], book.events = rows.sessions[0], list(rows.events)
    book.runs = {run.run_id: run for run in rows.runs}
    book.calls, book.owed = list(rows.calls), {call.call_id for call in rows.calls}
    [call], [run] = rows.calls, rows.runs
    return call, facts_of(run)


def settle(call: CallRow, text: str | None) -> Turn:
    said = None if text is None else Said([AssistantMessage(text=text)])
    return Turn(
        "s",
        ProviderAnswer(call, request_of(call), said, "plan").decide,
        run_id=call.run_id,
        call_id=call.call_id,
        follows_successor=False,
    )


def test_an_answer_lands_once() -> None:
    book = Book()
    call, run = call_of(book)
    landed, lost = book.commit(settle(call, "做好了"), settle(call, "做好了"))
    assert landed == b""
    assert isinstance(lost, CallLost)
    assert book.kinds("s")[-2:] == ["interaction", "provider_run"]
    assert (book.runs[run.run_id].status, book.owed) == ("completed", set())
    assert isinstance(book.commit(settle(call, "再来"))[0], CallLost)


def test_a_failed_call_goes_on_with_the_builtin_form() -> None:
    book = Book()
    call, run = call_of(book)
    book.commit(settle(call, None))
    said, form = book.shown("s")[-2:]
    assert "“plan”暂时不可用" in said["text"]
    assert form["extensionKind"] == "data_collection_request"
    assert book.runs[run.run_id].status == "failed"


def test_the_call_that_is_owed_is_the_contracts_invoke() -> None:
    call, run = call_of(Book())
    request = codec.decode(call.request.encode(), InvokeRequest)
    assert (request.run.run_id, request.run.provider_id) == (run.run_id, "plan")
    assert request.run.idempotency_key == "t:plan"
    assert isinstance(request.input, UnifiedUserInput)
    plan = CATALOGUE.get("plan")
    assert plan is not None
    assert plan.base_url == PLAN_URL


sessions = st.sampled_from(["s", "b", "c"])
users = st.sampled_from(["u", "u", "u", "v"])
turns = st.one_of(
    st.builds(
        ingest,
        st.sampled_from(["你好", "计划", "工作", "计划 工作", "红烧肉要炖多长时间", "明天北京会下雨吗", ""]),
        session=sessions,
        user=users,
        at_ms=st.sampled_from([NOW_MS - 3 * DAY_MS, NOW_MS - DAY_MS - 1, NOW_MS - 1, NOW_MS, NOW_MS + DAY_MS]),
        signed=st.booleans(),
        nonce=st.sampled_from([None, None, "n1", "n2"]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        body_hash=st.sampled_from([b"", b"1", b"2"]),
    ),
    st.builds(
        interact,
        st.sampled_from(["switch_provider:work", "switch_provider:nobody", "new_session:auto", "more"]),
        session=sessions,
        user=users,
        signed=st.booleans(),
    ),
)


@given(st.lists(st.lists(turns, min_size=1, max_size=6), max_size=8))
def test_any_turns_leave_every_seq_from_1_without_a_gap(batches: list[list[Turn]]) -> None:
    book = Book()
    for batch in batches:
        before = len(book.events)
        answers = book.commit(*batch)
        assert all(isinstance(answer, bytes | UniAssistError) for answer in answers)
        if not any(isinstance(answer, bytes) for answer in answers):
            assert len(book.events) == before
    by_session = defaultdict(list)
    for event in book.events:
        by_session[event.session_id].append(event)
    assert by_session.keys() == book.sessions.keys(), "no session without events, no events without a session"
    for session_id, events in by_session.items():
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert book.sessions[session_id].seq == len(events)
        assert {event.user_id for event in events} == {book.sessions[session_id].user_id}
        assert not book.sessions[session_id].is_new
    assert len({event.event_id for event in book.events}) == len(book.events)
    for session in book.sessions.values():
        assert session.successor_id is None or session.successor_id in book.sessions
        assert len(session.session_id) <= 256


@given(st.lists(turns, max_size=12))
def test_one_batch_or_many_come_to_the_same(all_turns: list[Turn]) -> None:
    together, apart = Book(), Book()
    answers = together.commit(*all_turns)
    others = [apart.commit(turn)[0] for turn in all_turns]
    assert [isinstance(answer, bytes) for answer in answers] == [isinstance(answer, bytes) for answer in others]
    assert [event.kind for event in together.events] == [event.kind for event in apart.events]
    assert [session.state for session in together.sessions.values()] == [
        session.state for session in apart.sessions.values()
    ]
    assert [(a.seq, b.seq) for a, b in pairwise(together.events)] == [
        (a.seq, b.seq) for a, b in pairwise(apart.events)
    ]


def test_an_opening_is_only_for_the_session_it_names() -> None:
    """The successor of an opened session belongs to the same user, not to a new opening."""
    book = Book()
    book.commit(ingest(at_ms=NOW_MS - 2 * DAY_MS, signed=True))
    [answer] = book.commit(ingest(signed=True))
    successor = book.sessions[decoded(answer)["sessionId"]]
    assert (successor.user_id, successor.signed) == ("u", True)
    assert Opening("s", "u", True, 0).session_id == "s"


def cancel(run_id: str) -> Turn:
    asked = RunCancellation(schema_version="v0", trace_id="t2", session_id="s", user_id="u", timestamp_ms=NOW_MS)
    decide = Cancel(asked, run_id, Caller(signed=False)).decide
    return Turn("s", decide, run_id=run_id, cancels=True, follows_successor=False)


def run_states(book: Book) -> list[str]:
    payloads = [event.payload for event in book.timeline("s") if event.kind == "provider_run"]
    return [str(codec.decode(payload.encode(), dict)["status"]) for payload in payloads]


def test_an_answer_in_the_batch_of_its_runs_cancellation_is_dropped() -> None:
    book = Book()
    call, run = call_of(book)
    book.commit(cancel(run.run_id), settle(call, "做好了"))
    assert run_states(book) == ["pending", "cancelled"]
    assert "做好了" not in "".join(event.payload for event in book.timeline("s"))


def test_a_cancellation_in_the_batch_of_the_answer_comes_too_late() -> None:
    book = Book()
    call, run = call_of(book)
    _, late = book.commit(settle(call, "做好了"), cancel(run.run_id))
    assert isinstance(late, UniAssistError)
    assert run_states(book) == ["pending", "completed"]


def test_cancelling_the_answer_to_an_interaction_ends_the_calls_that_are_owed_now() -> None:
    """The calls themselves are told: whoever hears of it late hangs up on none that the run owes later."""
    book = Book()
    call, run = call_of(book)
    book.commit(settle(call, "做好了"))
    book.commit(interact("a", run_id=run.run_id), interact("b", run_id=run.run_id))
    owed = set(book.owed)
    first, second = book.commit(cancel(run.run_id), cancel(run.run_id))
    assert isinstance(first, bytes)
    assert isinstance(second, UniAssistError), "in one batch as in two"
    assert len(owed) == 2
    assert (set(book.stopped), book.owed) == (owed, set())
    assert run_states(book) == ["pending", "completed", "completed"]
    book.commit(interact("c", run_id=run.run_id))
    assert len(book.owed) == 1
    assert not book.owed & set(book.stopped)


def test_two_cancellations_in_one_batch_are_one() -> None:
    book = Book()
    _, run = call_of(book)
    book.commit(cancel(run.run_id), cancel(run.run_id))
    assert run_states(book) == ["pending", "cancelled"]


def test_an_input_that_comes_late_does_not_make_its_session_idle() -> None:
    book = Book()
    book.commit(ingest("你好"))
    book.commit(ingest("前天写的", at_ms=NOW_MS - 2 * DAY_MS))
    assert decoded(book.commit(ingest("今天写的"))[0])["sessionId"] == "s"


def test_of_a_long_text_a_session_keeps_no_more_than_it_compares() -> None:
    book, told = Book(), "今天想聊聊天气和旅行的事" * 500
    book.commit(ingest(told))
    kept = codec.decode(book.sessions["s"].state.encode(), dict)["last_text"]
    assert kept == told[:TOPIC_CHARACTERS]
