"""Courtesies, and the language that a person is answered in. Another sentence is another line of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts.courtesies import LONGEST, courtesy
from uniassist.contracts.language import language, spoken, written_in

SENTENCES = Path(__file__).parent / "sentences"


def cases(name: str) -> list[list[str]]:
    lines = (SENTENCES / name).read_text(encoding="utf-8").split("\n")
    return [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(("said", "kind"), cases("courtesies.tsv"))
def test_a_courtesy_is_known_as_one(said: str, kind: str) -> None:
    assert (courtesy(said) or "none") == kind


@given(st.sampled_from(cases("courtesies.tsv")), st.sampled_from(["", "!", "！", "~", "。", " ", "…", "😊"]))
def test_what_decorates_a_courtesy_changes_nothing(case: list[str], decoration: str) -> None:
    said, kind = case
    if said.strip() and any(each.isalnum() for each in said):
        assert (courtesy(f"{decoration}{said}{decoration}") or "none") == kind


@given(st.text(min_size=LONGEST + 1, max_size=200))
def test_what_is_long_has_something_to_say(text: str) -> None:
    assert courtesy(text) is None


def test_no_text_takes_long() -> None:
    """Each of these would not end, were a place in it tried in every way."""
    for text in ("x" * 1_000_000, "a.b@" * 250_000, "好" * 1_000_000, "_a" * 500_000, "'x" * 500_000):
        assert spoken(None, text, None) in ("zh", "en", None)
    for part in ("谢", "的帮助", "youthere", "howareyou", "早", "好", "thanks", "辛苦"):
        courtesy(part * (LONGEST // len(part)) + "!x"[:1])
        courtesy(part * ((LONGEST - 1) // len(part)) + "x")


@pytest.mark.parametrize(("locale", "text", "last", "answered"), cases("languages.tsv"))
def test_the_language_is_the_locales_else_the_texts_else_the_last(
    locale: str, text: str, last: str, answered: str
) -> None:
    given_locale, spoken_last = (None if each == "-" else each for each in (locale, last))
    assert (spoken(given_locale, text, spoken_last) or "-") == answered


def test_a_word_of_anybodys_counts_for_the_platforms_language_at_first() -> None:
    assert spoken(None, "ok", None, default="zh") == "zh"
    assert spoken(None, "make me a plan", None, default="zh") == "en"


@given(st.text(max_size=60), st.sampled_from([None, "zh", "en", "zh-TW"]))
def test_a_language_once_spoken_is_never_forgotten(text: str, last: str | None) -> None:
    found = spoken(None, text, last)
    assert last is None or found is not None
    if found is not None and written_in(text) is None:
        assert found == last
    assert language(found) in ("zh", "en")
