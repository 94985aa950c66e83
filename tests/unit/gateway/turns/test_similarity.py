"""Likeness of texts, also without spaces; counting a drift of topic."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.gateway.providers import routing
from uniassist.gateway.providers.routing import Memory
from uniassist.gateway.turns.similarity import normalize, similarity, topic


def alike(one: str, other: str) -> float:
    return similarity(normalize(one), normalize(other))


TOPICS = Path(__file__).parent / "topics.tsv"
unspaced = st.text(alphabet="我你他想要去北京上海旅游计划明天", min_size=1, max_size=30)
spaced = st.lists(st.sampled_from(["plan", "a", "trip", "Trips", "Tokyo", "to", "swim", "swimming"])).map(" ".join)
texts = st.text(max_size=60) | unspaced | spaced


@given(texts, texts)
def test_likeness_is_symmetric_and_between_0_and_1(one: str, other: str) -> None:
    assert 0.0 <= alike(one, other) == alike(other, one) <= 1.0


@given(unspaced, unspaced)
def test_likeness_without_spaces_is_the_share_of_common_pairs(one: str, other: str) -> None:
    one, other = normalize(one), normalize(other)
    pairs = [Counter(text[at : at + 2] for at in range(len(text) - 1)) for text in (one, other)]
    total = pairs[0].total() + pairs[1].total()
    assert similarity(one, other) == (2 * (pairs[0] & pairs[1]).total() / total if total else one == other)


@given(st.text())
def test_only_letters_and_digits_are_kept(text: str) -> None:
    folded = unicodedata.normalize("NFKC", text).casefold()
    assert normalize(text).replace(" ", "") == "".join(each for each in folded if each.isalnum())


@given(texts)
def test_a_text_is_like_itself(text: str) -> None:
    assert alike(text, text) == 1.0


@given(texts)
def test_case_width_and_punctuation_make_no_difference(text: str) -> None:
    assert alike(f"{text}!", f" {text}。") == 1.0


def cases() -> list[list[str]]:
    lines = TOPICS.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("judged", "one", "other"), cases())
def test_the_same_topic_is_alike_and_another_is_not(judged: str, one: str, other: str) -> None:
    assert (alike(one, other) >= routing.DRIFT_BELOW) is (judged == "alike"), alike(one, other)


@pytest.mark.parametrize(
    ("text", "enough"),
    [("", False), ("好的", False), ("好的，谢谢！", False), ("......!!!!", False), ("一二三四五六", True)],
)
def test_only_letters_and_digits_count_as_length(text: str, enough: bool) -> None:
    assert bool(topic(text)) is enough


def count(likenesses: list[float | None]) -> list[int]:
    """The turns at which the card was due."""
    memory, due = Memory(), []
    for turn, alike in enumerate(likenesses, start=1):
        memory, drifted = routing.after_text(memory, alike=alike, text="some text")
        due += [turn] if drifted else []
    return due


def test_two_unlike_texts_in_a_row_are_a_drift() -> None:
    assert count([None, 0.29, 0.0]) == [3]
    assert count([None, 0.1, 0.3, 0.1]) == []


def test_a_text_too_short_to_tell_neither_counts_nor_interrupts() -> None:
    assert count([None, 0.1, None, 0.1]) == [4]


def test_one_card_in_five_turns_is_enough() -> None:
    assert count([0.0] * 14) == [2, 7, 12]


def test_a_short_text_is_not_compared_with_later() -> None:
    memory, _ = routing.after_text(Memory(last_text="before"), alike=None, text="")
    assert memory.last_text == "before"


@given(st.lists(st.none() | st.floats(0, 1), max_size=40))
def test_cards_are_rare_and_have_a_reason(likenesses: list[float | None]) -> None:
    due = count(likenesses)
    assert all(later - earlier >= routing.DRIFT_CARD_EVERY for earlier, later in pairwise(due))
    for turn in due:
        told = [alike for alike in likenesses[:turn] if alike is not None]
        assert all(alike < routing.DRIFT_BELOW for alike in told[-2:])
        assert len(told) >= 2
