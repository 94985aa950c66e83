"""What a person's first message already says of the plan. Only a suggestion: the form shows it for correction."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

_READ_CHARACTERS = 2000
_MAX_GOAL = 200
_MAX_CONSTRAINTS = 500
_CLAUSE_END = re.compile(r"[，,。;；!！?？\n]+")

_STATED_GOAL = re.compile(r"^(?:我的|my )?(?:目标|goal)\s*(?:是|为|is|[:：])\s*(?P<goal>.+)$", re.IGNORECASE)
_ASKED_GOAL = re.compile(
    r"^(?:请|麻烦)?你?(?:帮我|给我|替我)?(?:我想要?|我要)?(?:做|制定|安排|规划|计划)(?:一下|一个|一份|个|下)?(?P<goal>.+)$"
)
_ASKED_GOAL_EN = re.compile(
    r"^(?:please\s+)?(?:help me\s+)?(?:to\s+)?plan\s+(?:to\s+|for\s+|out\s+)?(?P<goal>.+)$", re.IGNORECASE
)
_EMPTY_GOAL = re.compile(r"^(?:的|我|my|a|the|\s)*(?:计划|安排|规划|日程|目标|方案|plan|schedule)?(?:吧|呢)?$")
_CONSTRAINT = re.compile(
    r"^(?:预算|限制|约束|要求|条件|前提|不能|不要|只能|最多|至少|budget|constraints?|at most|no more than|only)",
    re.IGNORECASE,
)

_FULL_DATE = re.compile(r"(?<!\d)(\d{4})\s*[-/年.]\s*(\d{1,2})\s*[-/月.]\s*(\d{1,2})(?!\d)")
_MONTH_AND_DAY = re.compile(r"(?<!\d)(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]")
_DAYS_FROM_NOW = re.compile(
    r"(?<![\d.])(\d{1,3})\s*天(?:之?内|之?后|以内|以后)|\b(?:in|within) (\d{1,3}) days\b", re.I
)
_NAMED_DAYS = (("大后天", 3), ("后天", 2), ("明天", 1), ("今天", 0), ("tomorrow", 1), ("today", 0))
_BEIJING = dt.timezone(dt.timedelta(hours=8))


def suggest(text: str, *, at_ms: int, timezone: str | None) -> dict[str, str]:
    """Field name → value for what `text` says, seen at `at_ms` in the person's `timezone` (else Beijing's)."""
    text = text[:_READ_CHARACTERS]
    clauses = [clause.strip() for clause in _CLAUSE_END.split(text) if clause.strip()]
    due = _due_date(text, _day(at_ms, timezone))
    found = {
        "goal": _goal(clauses),
        "dueDate": due.isoformat() if due is not None else None,
        "constraints": "；".join(clause for clause in clauses if _CONSTRAINT.match(clause))[:_MAX_CONSTRAINTS],
    }
    return {name: value for name, value in found.items() if value}


def _goal(clauses: list[str]) -> str | None:
    for form in (_STATED_GOAL, _ASKED_GOAL, _ASKED_GOAL_EN):
        for clause in clauses:
            match = form.match(clause)
            goal = match["goal"].strip(" .").removesuffix("的计划") if match is not None else ""
            if len(goal) > 1 and _EMPTY_GOAL.fullmatch(goal) is None:
                return goal[:_MAX_GOAL].strip()
    return None


def _due_date(text: str, today: dt.date | None) -> dt.date | None:
    if match := _FULL_DATE.search(text):
        return _date(*(int(part) for part in match.groups()))
    if today is None:
        return None
    if match := _MONTH_AND_DAY.search(text):
        month, day = int(match[1]), int(match[2])
        this_year = _date(today.year, month, day)
        return this_year if this_year is None or this_year >= today else _date(today.year + 1, month, day)
    if match := _DAYS_FROM_NOW.search(text):
        return _days_after(today, int(match[1] or match[2]))
    lowered = text.lower()
    return next((_days_after(today, days) for name, days in _NAMED_DAYS if name in lowered), None)


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _days_after(today: dt.date, days: int) -> dt.date | None:
    try:
        return today + dt.timedelta(days=days)
    except OverflowError:
        return None


def _day(at_ms: int, timezone: str | None) -> dt.date | None:
    """The person's calendar day, None for a clock that is no date."""
    try:
        return dt.datetime.fromtimestamp(at_ms / 1000, _zone(timezone)).date()
    except (OverflowError, ValueError, OSError):
        return None


def _zone(name: str | None) -> dt.tzinfo:
    try:
        return ZoneInfo(name) if name else _BEIJING
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a directory of the database
        return _BEIJING
