"""What others are told of messages that are written here: each piece once and in order, over whatever is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from uniassist.gateway.live import telling as tellings
from uniassist.gateway.live.board import Board, Writing
from uniassist.gateway.live.telling import Round, Telling

SESSIONS = ("s", "t")


def key_of(session_id: str, message: str) -> tuple[str, str]:
    return f"run-of-{session_id}", message


def begin(board: Board, session_id: str = "s", message: str = "m") -> Writing:
    writing = board.begin(session_id, key_of(session_id, message), None, 1)
    assert writing is not None
    return writing


def writer() -> tuple[Board, Telling]:
    board, telling = Board(), Telling()

    def written(writing: Writing) -> None:
        telling.written(writing)

    board.on_written, board.on_over = written, telling.over
    return board, telling


def pieces(said: Round, session_id: str = "s") -> list[tuple[int, str]]:
    return [(piece.offset, piece.text) for piece in said.said.get(session_id, ([], []))[0]]


def test_each_piece_is_told_once_and_what_could_not_be_told_goes_with_the_next() -> None:
    board, telling = writer()
    writing = begin(board)
    board.add(writing, "one ")
    assert pieces(telling.begin()) == [(0, "one ")]  # it failed: not done
    board.add(writing, "two ")
    said = telling.begin()
    assert pieces(said) == [(0, "one two ")]
    board.add(writing, "three")
    telling.done(said, unheard=())
    said = telling.begin()
    assert pieces(said) == [(8, "three")]
    telling.done(said, unheard=())
    assert not telling.has_news
    board.end("s", writing.key, 1)
    assert [end.message_id for end in telling.begin().said["s"][1]] == ["m"]


def test_of_a_message_that_nobody_was_told_of_the_end_is_not_told() -> None:
    board, telling = writer()
    writing = begin(board)
    board.add(writing, "one")
    board.end("s", writing.key, 1)
    assert not telling.has_news
    assert not telling.writes("s")


def test_who_asks_while_it_is_told_is_told_again() -> None:
    """It may have begun to listen after that was said."""
    board, telling = writer()
    board.add(begin(board), "one ")
    said = telling.begin()
    telling.asked("s")
    telling.done(said, unheard=["s"])
    assert pieces(telling.begin()) == [(0, "one ")]
    assert not telling.has_unheard


def test_what_nobody_hears_waits_for_the_next_try_or_for_who_asks() -> None:
    board, telling = writer()
    writing = begin(board)
    board.add(writing, "one ")
    telling.done(telling.begin(), unheard=["s"])
    board.add(writing, "two ")
    assert not telling.has_news
    assert telling.has_unheard
    telling.try_unheard()
    said = telling.begin()
    assert pieces(said) == [(4, "two ")]
    board.add(writing, "three ")
    telling.done(said, unheard=["s"])
    assert not telling.has_news
    telling.try_unheard()
    said = telling.begin()
    assert pieces(said) == [(8, "three ")], "also what came while it was said"
    telling.done(said, unheard=["s"])
    board.add(writing, "four")
    assert not telling.has_news
    telling.asked("s")
    assert pieces(telling.begin()) == [(0, "one two three four")]


def test_a_round_is_bounded_in_sessions_and_characters_and_the_rest_has_its_turn() -> None:
    board, telling = writer()
    for number in range(2 * tellings.MAX_SESSIONS):
        board.add(begin(board, f"s{number}"), "x")
    told: set[str] = set()
    for _ in range(2):
        said = telling.begin()
        assert len(said.said) == tellings.MAX_SESSIONS
        told |= set(said.said)
        telling.done(said, unheard=())
    assert len(told) == 2 * tellings.MAX_SESSIONS
    assert not telling.has_news
    for number in range(4):
        board.add(begin(board, f"long{number}"), "x" * 60_000)
    assert len(telling.begin().said) == 3


@dataclass
class Reader:
    """A gateway that follows both sessions, or for now none."""

    board: Board = field(default_factory=Board)
    follows: bool = False

    def hear(self, said: Round) -> set[str]:
        """The sessions in which something was missing."""
        holes = set()
        for session_id, (its_pieces, ends) in said.said.items():
            for each in its_pieces:
                key = (each.run_id, each.message_id)
                if not self.board.take(session_id, key, each.subject, each.attempt, each.offset, each.text):
                    holes.add(session_id)
            for end in ends:
                self.board.end(session_id, (end.run_id, end.message_id), end.attempt)
        return holes


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(SESSIONS), st.sampled_from("mn")),
        st.tuples(st.just("end"), st.sampled_from(SESSIONS), st.sampled_from("mn")),
        st.tuples(
            st.sampled_from(["begin", "reach", "lose", "done", "fail", "follow", "ask", "leave", "try"]),
            st.just(""),
            st.just(""),
        ),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(ACTS)
def test_whatever_is_lost_a_reader_has_a_beginning_of_the_text_and_in_the_end_all(
    acts: list[tuple[str, str, str]],
) -> None:
    """A round reaches Redis at some moment between its beginning and its end, or not at all."""
    board, telling = writer()
    reader = Reader()
    under_way: tuple[Round, bool] | None = None  # and whether anybody heard it
    ended: set[tuple[str, str]] = set()
    holes: set[str] = set()
    written = 0

    def check() -> None:
        for session_id in SESSIONS:
            for message in "mn":
                theirs = reader.board._at(session_id, key_of(session_id, message))
                ours = board._at(session_id, key_of(session_id, message))
                if theirs is not None and ours is not None:
                    assert ours.since(0).startswith(theirs.since(0))

    for act, session_id, message in acts:
        if act == "write" and (session_id, message) not in ended:
            written += 1
            writing = board._at(session_id, key_of(session_id, message)) or begin(board, session_id, message)
            board.add(writing, f"{written} ")
        elif act == "end" and board._at(session_id, key_of(session_id, message)) is not None:
            ended.add((session_id, message))
            board.end(session_id, key_of(session_id, message), 1)
        elif act == "begin" and under_way is None and telling.has_news:
            under_way = (telling.begin(), False)
        elif act == "reach" and under_way is not None and reader.follows:
            holes |= reader.hear(under_way[0])
            under_way = (under_way[0], True)
        elif act in ("done", "fail") and under_way is not None:
            if act == "done":
                telling.done(under_way[0], unheard=() if under_way[1] else list(under_way[0].said))
            under_way = None
        elif act == "follow" and not reader.follows:
            reader.follows, holes = True, set(SESSIONS)
        elif act == "leave":
            reader.follows = False
            for each in SESSIONS:
                reader.board.forget(each)
        elif act == "ask" and reader.follows:
            for each in holes:
                telling.asked(each)
            holes = set()
        elif act == "try":
            telling.try_unheard()
        check()
    if under_way is not None:
        telling.done(under_way[0], unheard=() if under_way[1] else list(under_way[0].said))
    if not reader.follows:
        reader.follows, holes = True, set(SESSIONS)
    telling.tell_all_again()  # what was lost last of all shows then
    for _ in range(4):
        for each in holes:
            telling.asked(each)
        telling.try_unheard()
        said = telling.begin()
        holes = reader.hear(said)
        telling.done(said, unheard=())
    check()
    assert not telling.has_news
    for session_id in SESSIONS:
        for message in "mn":
            ours = board._at(session_id, key_of(session_id, message))
            theirs = reader.board._at(session_id, key_of(session_id, message))
            if ours is not None:  # an end that was lost shows by the durable event, or by silence
                assert theirs is not None
                assert theirs.since(0) == ours.since(0)
