"""The form of a plan: its fields, its JSON Schema with what is known already, and the check of what comes back."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from uniassist.contracts.base import JsonObject
from uniassist.contracts.dates import read_date
from uniassist.contracts.language import Language, language
from uniassist.provider_plan.phrases import say
from uniassist.provider_plan.planner.hours import time_words

_ANY_DAY = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)  # what is read is no day
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class PlanField:
    """`name` is also its title's key in the catalogue; `hint` names a phrase."""

    name: str
    required: bool = False
    is_date: bool = False
    max_length: int | None = None
    hint: str | None = None
    widget: str | None = None


FIELDS = (
    PlanField("goal", required=True, max_length=500, hint="goal_hint"),
    PlanField("dueDate", is_date=True, widget="date"),
    PlanField("timeAvailable", max_length=200, hint="timeAvailable_hint"),
    PlanField("constraints", max_length=2000, hint="constraints_hint", widget="textarea"),
)


@dataclass(frozen=True)
class Submission:
    """What of a submission is good, and a sentence for each thing that isn't."""

    values: dict[str, str]
    problems: list[str]


def left_open(known: Mapping[str, str]) -> tuple[PlanField, ...]:
    """What is still to be asked. Constraints always are: there may be more of them."""
    return tuple(each for each in FIELDS if each.name not in known or each.name == "constraints")


def data_schema(
    locale: str | None, defaults: Mapping[str, str], fields: Sequence[PlanField] = FIELDS
) -> JsonObject:
    """Not to be changed."""
    if not any(field.name in defaults for field in fields):
        return _blank(language(locale), tuple(fields))
    return _data_schema(locale, defaults, fields)


@cache  # one for each language and choice of fields
def _blank(tongue: Language, fields: tuple[PlanField, ...]) -> JsonObject:
    return _data_schema(tongue, {}, fields)


def _data_schema(locale: str | None, defaults: Mapping[str, str], fields: Sequence[PlanField]) -> JsonObject:
    return {
        "type": "object",
        "title": say("form_title", locale),
        "properties": {field.name: _property(field, locale, defaults.get(field.name)) for field in fields},
        "required": [field.name for field in fields if field.required],
    }


def ui_schema(locale: str | None, fields: Sequence[PlanField] = FIELDS) -> JsonObject:
    """Not to be changed."""
    return _ui_schema(language(locale), tuple(fields))


@cache
def _ui_schema(locale: Language, fields: tuple[PlanField, ...]) -> JsonObject:
    described: JsonObject = {
        "ui:order": [field.name for field in fields],
        "ui:submitButtonOptions": {"submitText": say("submit", locale)},
    }
    for field in fields:
        options: JsonObject = {}
        if field.widget is not None:
            options["ui:widget"] = field.widget
        if field.hint is not None:
            options["ui:placeholder"] = say(field.hint, locale)
        described[field.name] = options
    return described


def check(
    payload: object,
    locale: str | None,
    today: dt.date | None = None,
    *,
    known: Mapping[str, str] | None = None,
) -> Submission:
    """Read a submission, `{values: {…}}` or the values themselves. An empty field counts as left out.

    `today`: the person's, by which "下周五" becomes its date. None: only dates are dates.
    `known`: what was said before, for the fields that the form hadn't.
    """
    given = payload.get("values", payload) if isinstance(payload, dict) else payload
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return Submission({}, [say("problem_values", locale)])
    values: dict[str, str] = {}
    problems: list[str] = []
    for field in FIELDS:
        value = given.get(field.name)
        if isinstance(value, str):
            value = value.strip() or None
        if value is None and field.name not in given:
            value = (known or {}).get(field.name)
        if value is None and not field.required:
            continue
        if field.is_date and today is not None and isinstance(value, str):
            day = read_date(value, today)
            value = day.isoformat() if day is not None else value
        problem = _problem(field, value, locale)
        if problem is not None:
            problems.append(problem)
        else:
            values[field.name] = str(value)
    return Submission(values, problems)


def is_date(text: str) -> bool:
    """A full-date of RFC 3339; `fromisoformat` alone also takes 20260301 and 2026-W09-7."""
    if _DATE.fullmatch(text) is None:
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_time_available(text: str) -> bool:
    """Whether it says how much time there is: "每天一小时", "5 hours a week", "只有周末"."""
    return time_words(text, _ANY_DAY) is not None


def _problem(field: PlanField, value: object, locale: str | None) -> str | None:
    title = say(field.name, locale)
    if value is None:
        return say("problem_required", locale, field=title)
    if not isinstance(value, str):
        return say("problem_text", locale, field=title)
    if field.is_date and not is_date(value):
        return say("problem_date", locale, field=title)
    if field.name == "timeAvailable" and not is_time_available(value):
        return say("problem_time", locale, field=title)
    if field.max_length is not None and len(value) > field.max_length:
        return say("problem_long", locale, field=title, limit=str(field.max_length))
    return None


def _property(field: PlanField, locale: str | None, default: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "string", "title": say(field.name, locale)}
    if field.is_date:
        described["format"] = "date"
    if field.required:
        described["minLength"] = 1
    if field.max_length is not None:
        described["maxLength"] = field.max_length
    if default is not None:
        described["default"] = default
    return described
