"""The board of messages that are being written: who sees what of them, once and in order, within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from uniassist.gateway.live import board as boards
from uniassist.gateway.live.board import DURABLE, Board, Shown, Writing

KEY = ("run-1", "m1")


def seen(board: Board, shown: Shown, subject: str | None = None) -> list[tuple[int, str]]:
    frames = board.news("s", subject, shown).split(b"\n\n")
    deltas: list[dict[str, Any]] = [json.loads(each.partition(b"data: ")[2]) for each in frames if each]
    return [(delta["offset"], delta["text"]) for delta in deltas]


def begin(board: Board, attempt: int = 1, subject: str | None = None, key: tuple[str, str] = KEY) -> Writing:
    writing = board.begin("s", key, subject, attempt)
    assert writing is not None
    return writing


def test_each_reader_gets_what_it_has_not_had() -> None:
    board, early, late = Board(), Shown(), Shown()
    writing = begin(board)
    board.add(writing, "一二")
    assert seen(board, early) == [(0, "一二")]
    board.add(writing, "三")
    board.add(writing, "四")
    assert seen(board, early) == [(2, "三四")]
    assert seen(board, late) == [(0, "一二三四")]
    assert seen(board, early) == seen(board, late) == []


def test_a_later_attempt_begins_anew_and_an_earlier_one_is_not_heard() -> None:
    board, shown = Board(), Shown()
    over: list[Writing] = []
    board.on_over = over.append
    first = begin(board)
    board.add(first, "once")
    seen(board, shown)
    assert board.take("s", KEY, None, 2, 0, "twice")
    assert seen(board, shown) == [(0, "twice")]
    assert over == [first], "who tells others of it may forget it"
    board.add(first, " more")  # a gateway that doesn't know yet that it lost the call
    assert board.take("s", KEY, None, 1, 0, "once more")
    assert seen(board, shown) == []


def test_a_hole_is_noticed_and_what_is_there_is_not_taken_twice() -> None:
    board, shown = Board(), Shown()
    assert not board.take("s", KEY, None, 1, 3, "middle")
    assert board.take("s", KEY, None, 1, 0, "abc")
    assert not board.take("s", KEY, None, 1, 5, "f")
    assert board.take("s", KEY, None, 1, 0, "abcdef")  # as a whole, since it was asked for
    assert board.take("s", KEY, None, 1, 2, "cd")
    assert seen(board, shown) == [(0, "abcdef")]


def test_nothing_of_a_message_is_shown_after_its_end() -> None:
    board, shown = Board(), Shown()
    writing = begin(board)
    board.add(writing, "a")
    board.end("s", KEY, 1)
    board.add(writing, "b")
    assert board.begin("s", KEY, None, 1) is None
    assert seen(board, shown) == []
    begin(board, attempt=2)
    board.end("s", KEY, DURABLE)
    assert board.begin("s", KEY, None, 3) is None
    assert board.take("s", KEY, None, 4, 0, "late")
    assert seen(board, shown) == []


def test_only_the_sessions_subject_sees_it() -> None:
    board = Board()
    board.add(begin(board, subject="alice"), "secret")
    assert seen(board, Shown(), "mallory") == []
    assert seen(board, Shown(), "alice") == seen(board, Shown(), None) == [(0, "secret")]
    board.add(begin(board, key=("run-2", "m")), "nobody's")
    assert seen(board, Shown(), "alice") == [(0, "secret")]


def test_it_is_bounded_and_a_message_without_room_shows_no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(boards, "MAX_MESSAGES", 2)
    board, shown = Board(), Shown()
    one, two = begin(board), begin(board, key=("run-1", "m2"))
    assert board.begin("s", ("run-1", "m3"), None, 1) is None
    board.add(one, "12345678")
    board.add(two, "123")
    board.add(two, "4")
    assert seen(board, shown) == [(0, "12345678")]
    board.end("s", KEY, 1)
    board.add(two, "56")
    assert seen(board, shown) == []
    board.end("s", ("run-1", "m2"), 1)
    board.add(begin(board, key=("run-2", "m")), "1234567890")
    assert seen(board, shown) == [(0, "1234567890")]


def test_what_a_dead_gateway_wrote_is_forgotten_and_ours_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    board.add(begin(board, key=("run-2", "ours")), "ours")
    board.take("s", KEY, None, 1, 0, "theirs")
    board.drop_silent()
    assert len(seen(board, Shown())) == 2
    monkeypatch.setattr(boards, "SILENT_SECONDS", -1.0)
    board.drop_silent()
    assert seen(board, Shown()) == [(0, "ours")]
