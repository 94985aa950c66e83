"""Which keywords a text has: Chinese ones anywhere, others as whole words with their inflections."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.gateway.providers import catalogue, keywords
from uniassist.settings.variables import PLAN_TOKEN, REMINDER_TOKEN

SENTENCES = Path(__file__).parent / "sentences" / "keywords.tsv"
PACKAGED = catalogue.parse(
    files("uniassist.gateway.providers").joinpath("providers.toml").read_text("utf-8"),
    name="providers.toml",
    base_urls={"UNIASSIST_PLAN_PROVIDER_BASE_URL": None, "UNIASSIST_REMINDER_PROVIDER_BASE_URL": None},
    timeout_ms=1000,
    tokens={PLAN_TOKEN: None, REMINDER_TOKEN: None},
)


def cases() -> list[list[str]]:
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("text", "providers"), cases())
def test_who_is_meant_by_a_sentence(text: str, providers: str) -> None:
    hit = [each.provider_id for each in PACKAGED.providers if keywords.found(text, each.keywords)]
    assert " ".join(hit or ["-"]) == providers


@given(st.sampled_from(["plan", "task", "organize", "party", "计划"]), st.text(alphabet="abcxyz", max_size=4))
def test_a_latin_keyword_is_a_whole_word(keyword: str, more: str) -> None:
    glued = keywords.found(f"{more}{keyword}", [keyword])
    assert glued == ((keyword,) if not keyword.isascii() or not more else ())
    assert keywords.found(f"{more} {keyword} {more}", [keyword]) == (keyword,)


@given(st.text(max_size=40), st.text(min_size=1, max_size=10))
def test_any_keyword_can_be_looked_for_in_any_text(text: str, keyword: str) -> None:
    keywords.found(text, [keyword])
    if not keyword.isascii() and keyword.strip() == keyword and not any(each.isspace() for each in keyword):
        assert len(keywords.found(keyword, [keyword])) == 1


_WORDS = st.sampled_from(["plan", "make", "study", "try", "do", "日程", "set up", "to do list", "ÜBEN", "a"])
_AROUND = st.text(alphabet="a es-ingdmkyu日程划 ", max_size=12)


@given(_AROUND, _WORDS, st.sampled_from(["", "s", "es", "ed", "ing", "ning", "ies"]), _AROUND, _WORDS)
def test_the_quick_look_hides_no_match(before: str, word: str, ending: str, after: str, keyword: str) -> None:
    folded = keywords.fold(f"{before}{word}{ending}{after} {keyword[:-1]}ing")
    start, pattern = keywords._searched(keyword)
    if pattern.search(folded):
        assert start in folded
        assert keywords.found_in(folded, [keyword]) == (keyword,)
