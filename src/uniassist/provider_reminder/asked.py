"""What a text asks of a person's reminders: a new one, the list, a change, an end, ten minutes more. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from uniassist.contracts.scripts import simplified
from uniassist.provider_reminder.matter import asking
from uniassist.times.numerals import number

_N = r"(\d{1,3}|[一二两三四五六七八九十]{1,3})"
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_WHICH = re.compile(
    rf"第\s*{_N}(?:\s*[、,，和及]\s*第?\s*{_N})*\s*(?:个|条|项|件)?|(?:最后)(?P<last>一)[个条项]"
    r"|\b(?:number|no\.?|#)\s*(\d{1,3})\b|#(\d{1,3})\b"
    r"|\b(?P<named>first|second|third|fourth|fifth|last)(?:\s+(?:one|reminder))?\b(?!\s+(?:week|day|month|year))"
    r"|^(?:(?:取消|删除|删掉|cancel|delete|remove)\s*)?(?P<bare>\d{1,2})[.。]?$"
)
_ALL = re.compile(r"全部|所有|都(?:取消|删|不)|全都?(?:取消|删)|\b(?:all|everything)\b")
_LIST = re.compile(
    r"(?:看|查|列|显示|有(?:哪些|什么|几个|多少)?|我的|所有|全部|哪些|什么)[^，,。]{0,6}(?:提醒|待办|闹钟)(?!我|一下)"
    r"|(?:提醒|待办|闹钟)(?:列表|清单|有哪些|有什么|都有)"
    r"|\b(?:show|list|see|view|what|which|any|my|check|open)\b.{0,30}\b(?:reminders|alarms|to-?dos?|to-?do list)\b"
    r"|^(?:my\s+)?(?:reminders|to-?do list)[?.!]*$|\bwhat (?:are|will) you (?:be )?remind"
)
_CANCEL = re.compile(
    r"取消|删除|删掉|删了|去掉|(?:不用|不要|别|不必|不需要)(?:再)?(?:提醒|叫|通知)|停止|停掉|关掉|不用了"
    r"|\b(?:cancel|delete|remove|drop|turn off|stop|get rid of|clear|don'?t remind|no longer|forget about)\b"
)
_LATER = re.compile(
    r"推迟|延后|延迟|往后|推后|顺延|晚(?=[一两二三四五六七八九十半\d点])|\b(?:later|postpone|delay|push|put off)\b"
)
_EARLIER = re.compile(r"提前|提早|往前|早(?=[一两二三四五六七八九十半\d点])|\b(?:earlier|sooner|bring|forward)\b")
_BY = re.compile(r"\bby (?:\w+ ){1,3}(?:minute|hour|day|week|month)s?\b")
_NOUN = re.compile(r"(?:提醒|闹钟)(?:也|都|再|请|帮我)*(?=推|提[前早]|延|往|顺|早|晚)|\b(?:reminder|alarm)\b")
_CHANGE = re.compile(
    r"改(?:到|成|为|在|期|一下|时间)|换(?:到|成)|调(?:到|整|成)|挪(?:到|一下)?"
    r"|\b(?:make it|change|move|reschedule|shift|set it|instead|rename)\b"
)
_SNOOZE = re.compile(
    r"贪睡|(?:再|稍后|待会儿?|等会儿?|过会儿?|一会儿?|等一下|过一会儿?|晚点儿?)(?:再)?(?:提醒|叫|说|通知)"
    r"|(?:后|钟|小时|会儿?)再(?:提醒|叫|说|通知)"
    r"|\bsnooze\b|\bremind me (?:again|later)\b|\b(?:again in|ask me later|not now)\b"
)
_DONE = re.compile(
    r"^(?:我?(?:已经)?(?:做|吃|交|办|弄|搞|喝)(?:完|好|过)?了|搞定|完成了?|\b(?:done|did it|finished)\b)[.!。！]*$"
)


@dataclass(frozen=True)
class Which:
    """`numbers`: of the list, -1 for the last. `is_all`: all of them. `words`: the whole text."""

    numbers: tuple[int, ...]
    is_all: bool
    words: str


@dataclass(frozen=True)
class Make:
    pass


@dataclass(frozen=True)
class List:
    pass


@dataclass(frozen=True)
class Cancel:
    which: Which


@dataclass(frozen=True)
class Change:
    """`sign`: 1 for later, -1 for earlier, where a length follows; 0: to what is named."""

    which: Which
    sign: int


@dataclass(frozen=True)
class Snooze:
    which: Which


@dataclass(frozen=True)
class Done:
    """They did it; nothing is to be changed."""


Asked = Make | List | Cancel | Change | Snooze | Done


def asked_in(text: str, *, is_reply: bool) -> Asked | None:
    """None where nothing is said of reminders. `is_reply`: reminders are being talked of."""
    plain = simplified(text).lower().strip()
    make = asking(plain)
    which = which_in(plain)
    snooze = _SNOOZE.search(plain)
    if snooze is not None and _is_bare(plain, snooze):
        return Snooze(which)
    cancel = _CANCEL.search(plain)
    if cancel is not None and (
        make is None or cancel.start() < make.start() or cancel.end() >= make.end() > cancel.start()
    ):
        return Cancel(which)
    if _LIST.search(plain) and not _is_for_something(plain, make):
        return List()
    if make is not None and _is_for_something(plain, make):
        return Make()
    for pattern, sign in ((_CHANGE, 0), (_LATER, 1), (_EARLIER, -1)):
        found = pattern.search(plain)
        is_of_one = make is None and _NOUN.search(plain) is not None
        if found is not None and (is_reply or pattern is _CHANGE or which.numbers or is_of_one):
            return Change(which, sign or _direction(plain))
    if snooze is not None:
        return Snooze(which)
    if make is not None or (not is_reply and plain):
        return Make()
    return Done() if _DONE.search(plain) else None


def _direction(plain: str) -> int:
    """A length that something is moved by makes it later, where it isn't said that it is earlier."""
    return 1 if _LATER.search(plain) else -1 if _EARLIER.search(plain) else 1 if _BY.search(plain) else 0


def _is_bare(plain: str, snooze: re.Match[str]) -> bool:
    """Whether nothing new is to be said: "10 分钟后再提醒我", but not "10 分钟后再提醒我关火"."""
    behind = plain[snooze.end() :]
    if "snooze" in snooze.group():
        return True
    return (
        re.fullmatch(r"\s*(?:我|我们|一下|一次|一遍|吧|好吗|in .*|after .*|at .*|[。.!！,，\s])*", behind)
        is not None
    )


def _is_for_something(plain: str, make: re.Match[str] | None) -> bool:
    """ "提醒我", "remind me" ask for one, whatever follows; "reminder" and "提醒" alone may not."""
    return make is not None and (
        "我" in make.group() or re.search(r"\b(?:me|us|set|create|add|forget)\b|忘", make.group()) is not None
    )


def which_in(text: str) -> Which:
    plain = simplified(text).lower().strip()
    numbers: list[int] = []
    for found in _WHICH.finditer(plain):
        if found["named"]:
            numbers.append(_ORDINALS[found["named"]])
        elif found["last"]:
            numbers.append(-1)
        else:
            numbers += [value for each in found.groups() if each and (value := _number(each))]
    return Which(tuple(dict.fromkeys(numbers)), _ALL.search(plain) is not None, plain)


def _number(written: str) -> int | None:
    return int(written) if written.isdigit() else number(written)
