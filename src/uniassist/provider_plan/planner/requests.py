"""What a person wants of a plan that they have: "太紧了", "推迟两天", "step 2 is done", "make it Osaka instead"."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.changing import (
    Add,
    Away,
    Change,
    Done,
    Drop,
    Due,
    Instead,
    Looser,
    Shift,
    Show,
    Sooner,
    Undone,
)
from uniassist.provider_plan.planner.hours import hours_in, spaced
from uniassist.times import Ahead, Day, Days, Length, Moment, Period, Reading, read
from uniassist.times.numerals import number

_READ_CHARACTERS = 300
_DAYS_OF_MONTH = 30
_N = r"(\d{1,2}|[一二两三四五六七八九十]{1,3})"
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_STEP = re.compile(
    rf"第\s*{_N}(?:\s*[、,和及到至-]\s*第?{_N})*\s*(?:步|项|件|个步骤|条)|步骤\s*{_N}"
    r"|\bsteps\s+(\d{1,2})\s*(?:to|through|-|–)\s*(\d{1,2})\b"
    r"|\bsteps?\s+(\d{1,2})(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)(\d{1,2}))*"
    r"|\bthe (first|second|third|fourth|fifth|last) (?:step|one)"
)
_UNDONE = re.compile(
    r"(?:还没|没有|没能|没|未)(?:做|完|弄|订|办|买)|not (?:yet )?(?:done|finished)|\bundo\b|isn't done|haven't"
)
_DONE = re.compile(
    r"(?:做|完|弄|办|搞|订|买|写|交|学|练|约|选|找|签|查|寄|考|收拾|打包)(?:完成|完|好|定|妥|到|过|齐)?了|完成(?!日|时间|期)|搞定|\b(?:done|finished|completed|booked|did)\b"
)
_DONE_TITLE = re.compile(
    r"^(?:我)?(?:已经)?(?:把)?(?P<title>[\u4e00-\u9fff]{2,12}?)(?:已经|都)?(?:订|办|买|做|弄|写|选|找|收拾|打包|约)"
    r"(?:完|好|定|妥|到)了"
    r"|^(?:i )?(?:have |'ve )?(?:booked|finished|done|did|completed|bought) "
    r"(?:the |my )?(?P<title_en>[a-z ]{3,30})"
    r"|^(?:the |my )?(?P<title_ing>(?!\w*thing\b)[a-z]{2,}ing)(?: is|'s) (?:all )?(?:done|finished)"
)
_NEXT = re.compile(
    r"下一步|接下来|今天(?:该|要|应该|需要)?(?:做|干)|现在(?:该|要)?(?:做|干)"
    r"|what'?s next|what (?:should|do) i do|what is next|next step"
)
_SHOW = re.compile(
    r"(?:看|查|显示|发|给我|列出|打开|我的)[^，,。]{0,6}(?:计划|安排|进度)|(?:计划|安排|进度)(?:呢|怎么样|是什么|到哪)"
    r"|\b(?:show|see|view|what'?s|where'?s|where is|what is|list|open)\b.{0,12}\bplan\b"
    r"|^(?:my |the )?plan[.?!]?$|^(?:看看|我的)?计划[。？!]?$"
)
_LATER = re.compile(
    r"推迟|延后|延期|延长|往后|顺延|推后|后延|挪后|晚|\b(?:postpone|delay|put off|push|later|move|shift|extend)\b"
)
_EARLIER = re.compile(r"提前|提早|往前|早(?!上|晨)|\b(?:earlier|forward|bring|sooner)\b")
_LOOSER = re.compile(
    r"太(?:紧|赶|累|满|快|密|多|忙)|(?:轻松|松|宽松|慢)一?[点些]|放松|宽松|来不及|赶不上|吃不消|跟不上"
    r"|\btoo (?:tight|much|fast|busy|hard|full|many|tiring|quick)\b"
    r"|\b(?:slower|easier|relax|loosen)\b|can'?t keep up"
)
_SOONER = re.compile(
    r"太(?:松|慢|闲|拖)|(?:快|紧凑|抓紧)一?[点些]|抓紧"
    r"|\btoo (?:slow|loose|easy|relaxed|long)\b|\b(?:faster|sooner|speed up|tighter)\b"
)
_INSTEAD = re.compile(
    r"(?:那就?|还是|算了)?(?:把)?(?:目标|目的地|地方|地点)?(?:换成|改成|改为|换到|改去|变成|换去)(?P<goal>[^，,。！!？?]{1,60})"
    r"|(?:不去|不学|不做)[^，,。]{1,12}[，,]?(?:改|换|去|学|做)(?:去|成|学|做)?(?P<goal2>[^，,。！!？?]{1,60})"
    r"|(?:make it|change it to|change the goal to|let'?s (?:do|go to)"
    r"|switch to)\s+(?P<goal3>.{1,60}?)(?:\s+instead)?[.!]?$"
    r"|^(?P<goal4>[\w' -]{2,40}?)\s+instead[.!]?$",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"出差|没空|没时间|不在|有事|请假|放假休息|休息|\b(?:busy|away|unavailable|off|not free|can'?t work|no time)\b"
)
_DROP = re.compile(r"不要|不做|删|去掉|跳过|取消|不用|省|\b(?:skip|drop|remove|delete|leave out|cancel)\b")
_ADD = re.compile(
    r"(?:加|添|增加|补)(?:上)?(?:一?[步项件条]|一个步骤|个步骤|一个)[:：，,\s]*(?P<title>.{2,100})"
    r"|\badd (?:a |one |another )?(?:step|task|item)(?: to|:)?\s*(?P<title_en>.{2,100})",
    re.IGNORECASE,
)


def request_in(text: str, now: dt.datetime, *, count: int) -> Change | None:
    """What the text asks of a plan of `count` steps; None where it is no change of one. `now` has the zone."""
    text = spaced(text.strip()[:_READ_CHARACTERS])
    plain = simplified(text).lower()
    numbers, readings = _numbers(plain, count), read(text, now)
    if (added := _ADD.search(text)) is not None:
        return Add((added["title"] or added["title_en"]).strip(" 。.!！"))
    if _UNDONE.search(plain) and numbers:
        return Undone(numbers)
    if _DROP.search(plain) and numbers:
        return Drop(numbers)
    if (moved := _move(plain, readings, numbers[0] if numbers else None)) is not None:
        return moved
    if (away := away_in(plain, readings)) is not None:
        return away
    if (hours := hours_in(text, readings)) is not None:
        return hours
    if _DONE.search(plain) and not _UNDONE.search(plain) and not plain.endswith(("吗", "?", "？")):
        title = _DONE_TITLE.search(plain)
        named = (
            (title["title"] or title["title_en"] or title["title_ing"] or "").strip()
            if title is not None and not numbers
            else ""
        )
        return Done(numbers, named)
    if _NEXT.search(plain):
        return Show(is_next=True)
    if (other := _INSTEAD.search(text)) is not None:
        goal = next(each for each in other.groups() if each)
        return Instead(goal.strip(" 。.!！吧"))
    if _LOOSER.search(plain):
        return Looser()
    if _SOONER.search(plain):
        return Sooner()
    return Show() if _SHOW.search(plain) else None


def _numbers(plain: str, count: int) -> tuple[int, ...]:
    found = _STEP.search(plain)
    if found is None:
        return ()
    words = re.findall(r"\d+|[一二两三四五六七八九十]+|first|second|third|fourth|fifth|last", found[0])
    numbers = [_ORDINALS.get(each) or number(each) for each in words]
    if (
        len(numbers) == 2
        and re.search(r"[\d一二三四五六七八九十]\s*(?:[到至–-]|to|through)", found[0])
        and numbers[0] < numbers[1] < 100
    ):
        numbers = list(range(numbers[0], numbers[1] + 1))
    return tuple(count if each == -1 else each for each in numbers)


def _move(plain: str, readings: Sequence[Reading], step: int | None) -> Change | None:
    """By a length, where words say later or earlier; to a day, where they say so or the day is all there is."""
    for each in readings:
        length = each.what.length if isinstance(each.what, Ahead) else each.what
        if not isinstance(length, Length):
            continue
        days = length.months * _DAYS_OF_MONTH + length.days
        if days and (isinstance(each.what, Ahead) or _EARLIER.search(plain)):
            return Shift(-days, step)
        if days and _LATER.search(plain):
            return Shift(days, step)
    by = next((each for each in readings if each.bound == "by"), None)
    if by is not None and "了" not in plain:
        readings = [by]
    elif _AWAY.search(plain) or not (_LATER.search(plain) or _EARLIER.search(plain) or _CHANGES.search(plain)):
        return None
    for each in readings:
        match each.what:
            case Day(day):
                return Due(day, number=step)
            case Days(first, last):
                return Due(first, last if step is None else None, step)
            case Moment(at) | Period(at):
                return Due(at.date(), number=step)
    return None


_CHANGES = re.compile(r"改|换到|挪|定在|截止|\b(?:move|change|make it|due|deadline|reschedule)\b")


def away_in(plain: str, readings: Sequence[Reading]) -> Away | None:
    """Days that a text (simplified, lower case) says to be without time."""
    if not _AWAY.search(plain):
        return None
    for each in readings:
        match each.what:
            case Day(day):
                return Away(day, day)
            case Days(first, last):
                return Away(first, last)
    return None
