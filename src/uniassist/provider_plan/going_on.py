"""A trip's goal once another place or another length is said: "去重庆，只玩三天" of "去成都玩五天". Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.changing import replaced_subject
from uniassist.provider_plan.planner.kinds import GENERAL, kind_of, kinds

_N_ZH = r"(?:[一二两三四五六七八九十]{1,3}|\d{1,2})"
_N_EN = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten)"
_STAY = re.compile(
    r"^(?:那|还是|就|只|改成|改为|改|换成|缩短|延长|减|加|到|成|为|去|玩|待|呆|住)*"
    rf"(?P<zh>{_N_ZH}\s*天)(?:吧|就好|就行|就够了?|好了)*$"
    r"|^(?:(?:and|but|only|just|for|make it|make that|let's make it|stay)\s+)*"
    rf"(?P<en>{_N_EN}\s+days?)(?:\s+(?:only|instead|then|please))?[.!]?$",
    re.IGNORECASE,
)
_LENGTH = re.compile(rf"{_N_ZH}\s*天|\b{_N_EN}[\s-]days?\b", re.IGNORECASE)
_GO = re.compile(r"^(?:去|到|(?:go(?:ing)? )?to\s+)", re.IGNORECASE)
_BARE_PLACE = re.compile(r"去[^\s玩旅游]{1,8}")


def lasts_days(goal: str) -> bool:
    """Whether it is of a kind that may last some days, such as a trip."""
    return len(kinds()[kind_of(goal)].during["zh"]) > 1


def stay_in(clauses: Sequence[str]) -> tuple[str, str] | None:
    """The first clause that says how many days and nothing else, and those words of it."""
    for clause in clauses:
        found = _STAY.match(simplified(clause))
        if found is not None:
            name = "zh" if found["zh"] else "en"
            return clause, clause[found.start(name) : found.end(name)]
    return None


def elsewhere(before: str, place: str) -> str:
    """The goal with another place; what was said itself where it is a goal and loses nothing of the old one."""
    kind = kind_of(place)
    is_lost = _LENGTH.search(before) is not None and _LENGTH.search(place) is None
    if kind != GENERAL and (kind != kind_of(before) or not is_lost):
        return place
    return replaced_subject(before, _GO.sub("", place))


def for_days(goal: str, stay: str) -> str:
    if _LENGTH.search(goal) is not None:
        return _LENGTH.sub(lambda _: stay, goal, count=1)
    if stay.isascii():
        return f"{goal}, {stay}"
    return f"{goal}玩{stay}" if _BARE_PLACE.fullmatch(goal) else f"{goal}，{stay}"
