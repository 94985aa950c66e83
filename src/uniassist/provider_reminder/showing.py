"""Moments, rules, lengths and lists in words, in the person's language and zone. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uniassist.contracts.language import Language
from uniassist.provider_reminder.phrases import say
from uniassist.provider_reminder.recurring import counts_hours
from uniassist.store.reminders import Reminder
from uniassist.times import Length

_ZH_DAYS = "一二三四五六日"
_EN_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EN_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_UNITS: dict[str, tuple[str, str, str]] = {  # zh one, zh some, en
    "HOURLY": ("每小时", "每 {} 小时", "hour"),
    "DAILY": ("每天", "每 {} 天", "day"),
    "WEEKLY": ("每周", "每 {} 周", "week"),
    "MONTHLY": ("每月", "每 {} 个月", "month"),
    "YEARLY": ("每年", "每 {} 年", "year"),
}


def moment(at: dt.datetime, now: dt.datetime, language: Language) -> str:
    """ "明天（周四）09:00", "tomorrow (Thursday) at 09:00". `now`: with the person's zone."""
    at = at.astimezone(now.tzinfo)
    if language == "zh":
        return f"{day(at.date(), now.date(), language)}{at:%H:%M}"
    return f"{day(at.date(), now.date(), language)} at {at:%H:%M}"


def day(each: dt.date, today: dt.date, language: Language) -> str:
    away = (each - today).days
    if language == "zh":
        named = {-1: "昨天", 0: "今天", 1: "明天", 2: "后天"}.get(away)
        written = f"{each.month}月{each.day}日"
        written = written if each.year == today.year else f"{each.year}年{written}"
        return f"{named}（周{_ZH_DAYS[each.weekday()]}）" if named else f"{written}（周{_ZH_DAYS[each.weekday()]}）"
    named = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get(away)
    if named:
        return f"{named} ({_EN_DAYS[each.weekday()]})"
    written = f"{each.day} {_EN_MONTHS[each.month - 1]}"
    return f"on {_EN_DAYS[each.weekday()]}, {written if each.year == today.year else f'{written} {each.year}'}"


def when(reminder: Reminder, now: dt.datetime, language: Language) -> str:
    """A repeat as such with its next time where that isn't its own, else the moment."""
    assert reminder.due_at is not None, "it waits"
    if reminder.rule is None:
        return moment(reminder.due_at, now, language)
    clock = reminder.anchor.time() if reminder.anchor is not None else None
    return rule(reminder.rule, None if counts_hours(reminder.rule) else clock, language)


def rule(written: str, at: dt.time | None, language: Language) -> str:
    """ "每周一、三 20:00", "every Monday and Wednesday at 20:00"."""
    parts = dict(part.split("=", 1) for part in written.split(";") if "=" in part)
    interval, freq = int(parts.get("INTERVAL", "1")), parts.get("FREQ", "DAILY")
    said = _zh_rule(parts, freq, interval) if language == "zh" else _en_rule(parts, freq, interval)
    clock = "" if at is None else f" {at:%H:%M}" if language == "zh" else f" at {at:%H:%M}"
    return said + clock


def length(each: Length, language: Language) -> str:
    hours, minutes = divmod(each.minutes, 60)
    amounts = (
        (each.months, "个月", "month"),
        (each.days, "天", "day"),
        (hours, "小时", "hour"),
        (minutes, "分钟", "minute"),
    )
    if language == "zh":
        return "".join(f"{amount}{zh}" for amount, zh, _ in amounts if amount)
    return " ".join(f"{amount} {en}{'s' * (amount > 1)}" for amount, _, en in amounts if amount)


def of_matter(matter: str, language: Language) -> str:
    """As it stands behind what is said of when; nothing for none."""
    return say("matter", language, matter=matter) if matter else ""


def lines(reminders: Sequence[Reminder], now: dt.datetime, language: Language) -> str:
    return "\n".join(
        say(
            "list_line",
            language,
            number=at,
            when=when(each, now, language),
            matter=of_matter(each.matter, language),
        )
        for at, each in enumerate(reminders, 1)
    )


def _days(parts: dict[str, str]) -> list[tuple[int, int]]:
    """(which of them in a month or 0, weekday)"""
    found = []
    for each in parts.get("BYDAY", "").split(","):
        if each[-2:] in _CODES:
            found.append((int(each[:-2] or 0), _CODES.index(each[-2:])))
    return found


def _zh_rule(parts: dict[str, str], freq: str, interval: int) -> str:
    one, some, _ = _UNITS[freq]
    said = one if interval == 1 else some.format(interval)
    days = _days(parts)
    if [weekday for _, weekday in days] == [0, 1, 2, 3, 4] and interval == 1 and freq == "WEEKLY":
        return "每个工作日"
    if parts.get("BYMONTH"):
        said += f"{parts['BYMONTH']}月"
    for nth in {nth for nth, _ in days if nth}:
        said += "最后一个" if nth == -1 else f"第{nth}个"
        return said + "、".join(f"周{_ZH_DAYS[weekday]}" for _, weekday in days)
    if days:
        names = "、".join(_ZH_DAYS[weekday] for _, weekday in days)
        return said + (names if said.endswith("周") else f"的周{names}")
    month_days = [each for each in parts.get("BYMONTHDAY", "").split(",") if each]
    return said + "、".join("最后一天" if each == "-1" else f"{each}日" for each in month_days)


def _en_rule(parts: dict[str, str], freq: str, interval: int) -> str:
    unit = _UNITS[freq][2]
    said = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
    days = _days(parts)
    if [weekday for _, weekday in days] == [0, 1, 2, 3, 4] and interval == 1 and freq == "WEEKLY":
        return "every weekday"
    names = _listed([_EN_DAYS[weekday] for _, weekday in days])
    nth = next((each for each, _ in days if each), 0)
    if nth:
        return f"{said} on the {'last' if nth == -1 else _ordinal(nth)} {names}"
    if days:
        return f"every {names}" if interval == 1 else f"{said} on {names}"
    month_days = [each for each in parts.get("BYMONTHDAY", "").split(",") if each]
    if parts.get("BYMONTH") and month_days:
        return f"{said} on {month_days[0]} {_EN_MONTHS[int(parts['BYMONTH']) - 1]}"
    if month_days:
        return (
            f"{said} on the {_listed(['last day' if each == '-1' else _ordinal(int(each)) for each in month_days])}"
        )
    return said


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _ordinal(each: int) -> str:
    ending = "th" if 10 <= each % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(each % 10, "th")
    return f"{each}{ending}"
