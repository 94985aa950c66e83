"""Days as people write them. Another one is another line of a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.contracts.dates import day_of, find_date, read_date

SENTENCES = Path(__file__).parent / "sentences"
TODAY = dt.date(2026, 2, 25)  # a Wednesday


def cases(name: str) -> list[list[str]]:
    lines = (SENTENCES / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def shown(day: dt.date | None) -> str:
    return day.isoformat() if day is not None else "-"


@pytest.mark.parametrize(("written", "day"), cases("dates.tsv"))
def test_what_is_written_for_a_date_is_a_day_or_none(written: str, day: str) -> None:
    assert shown(read_date(written, TODAY)) == day


@pytest.mark.parametrize(("text", "day"), cases("dates_in_texts.tsv"))
def test_a_day_is_found_among_other_things(text: str, day: str) -> None:
    assert shown(find_date(text, TODAY)) == day


@given(st.sampled_from(cases("dates.tsv")), st.sampled_from(["。", "!", " ", "～", "！"]))
def test_what_decorates_a_day_changes_nothing(case: list[str], decoration: str) -> None:
    written, day = case
    assert shown(read_date(f"{decoration}{written}{decoration}", TODAY)) == day


@given(st.dates(), st.sampled_from([case[0] for case in cases("dates.tsv")]))
def test_whatever_today_is_there_is_an_answer(today: dt.date, written: str) -> None:
    for found in (read_date(written, today), find_date(written, today)):
        assert found is None or isinstance(found, dt.date)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    read_date(text, TODAY)
    find_date(text, TODAY)


def test_a_day_is_that_of_the_persons_zone() -> None:
    late = 1_772_038_800_000  # 2026-02-25 17:00 UTC
    assert day_of(late, None) == dt.date(2026, 2, 26), "Beijing's"
    assert day_of(late, "America/New_York") == dt.date(2026, 2, 25)
    assert day_of(late, "no/such") == dt.date(2026, 2, 26)
    assert day_of(1 << 62, None) is None
