"""The form: what it asks for, and what it accepts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for

from uniassist.contracts.language import language
from uniassist.provider_plan import form, phrases

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
ANY_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "goal": JSON,
        "dueDate": JSON | st.dates().map(dt.date.isoformat) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"),
        "timeAvailable": JSON | st.sampled_from(["每天一小时", "5 hours a week", "两小时"]),
        "constraints": JSON,
        "budget": JSON,
    },
)


@given(values=ANY_VALUES)
def test_what_is_accepted_is_valid_by_the_schema_shown(values: dict[str, Any]) -> None:
    checked = form.check(values, None)
    if not checked.problems:
        schema = validator_for(form.data_schema(None, {}), validate_formats=True)
        assert schema.is_valid(checked.values)


@given(values=ANY_VALUES)
def test_what_the_schema_accepts_is_accepted_unless_it_is_blank(values: dict[str, Any]) -> None:
    schema = validator_for(form.data_schema(None, {}), validate_formats=True)
    if schema.is_valid(values) and values["goal"].strip():
        checked = form.check(values, None)
        assert checked.problems == []
        assert checked.values["goal"] == values["goal"].strip()


@given(payload=JSON)
def test_any_payload_gets_values_or_a_problem(payload: Any) -> None:
    checked = form.check(payload, "en")
    assert checked.problems or "goal" in checked.values


def test_values_come_wrapped_or_bare() -> None:
    bare = {"goal": "学会游泳", "dueDate": "2026-06-01"}
    assert form.check(bare, None) == form.check({"values": bare}, None) == form.Submission(bare, [])


def test_a_day_in_words_becomes_its_date_where_today_is_known() -> None:
    today = dt.date(2026, 2, 25)
    for written, date in (
        ("下周五", "2026-03-06"),
        ("in two weeks", "2026-03-11"),
        ("２０２６年３月１日", "2026-03-01"),
    ):
        assert form.check({"goal": "游泳", "dueDate": written}, None, today).values["dueDate"] == date
        assert form.check({"goal": "游泳", "dueDate": written}, None).problems
    assert form.check({"goal": "游泳", "dueDate": "下辈子"}, None, today).problems


def test_empty_optional_fields_count_as_left_out() -> None:
    assert form.check({"goal": " 游泳 ", "dueDate": "", "constraints": None}, None).values == {"goal": "游泳"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "“目标”需要填写。"),
        ({"goal": "  "}, "“目标”需要填写。"),
        ({"goal": 7}, "“目标”需要是文字。"),
        ({"goal": "x" * 501}, "“目标”最多 500 个字符。"),
        ({"goal": "x", "dueDate": "20260301"}, "“期望完成日期”需要是一个日期，例如 2026-03-01 或“下周五”。"),
        ({"goal": "x", "dueDate": "2026-02-30"}, "“期望完成日期”需要是一个日期，例如 2026-03-01 或“下周五”。"),
        ({"goal": "x", "dueDate": "2026-W09-7"}, "“期望完成日期”需要是一个日期，例如 2026-03-01 或“下周五”。"),
        ({"goal": "x", "constraints": ["a"]}, "“限制条件”需要是文字。"),
    ],
)
def test_a_problem_names_the_field(values: dict[str, Any], problem: str) -> None:
    assert form.check(values, None).problems == [problem]


def test_the_ui_describes_exactly_the_fields() -> None:
    shown, described = form.data_schema("en", {}), form.ui_schema("en")
    assert described["ui:order"] == list(shown["properties"])
    assert {name for name in described if not name.startswith("ui:")} == set(shown["properties"])


def test_every_phrase_is_there_in_both_languages_with_the_same_places() -> None:
    import string

    for key, texts in phrases._CATALOGUE.items():
        places = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts.values()]
        assert set(texts) == {"zh", "en"}, key
        assert places[0] == places[1], key


@pytest.mark.parametrize(
    ("locale", "chosen"),
    [("en", "en"), ("en_US", "en"), ("EN-gb", "en"), ("zh-CN", "zh"), (None, "zh"), ("", "zh"), ("enx", "zh")],
)
def test_english_is_for_english_locales(locale: str | None, chosen: str) -> None:
    assert language(locale) == chosen
