"""What a text asks of kept plans: to list, show, delete, bring back or export them, and which of them it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uniassist.contracts.scripts import simplified
from uniassist.provider_plan.planner.subjects import SUBJECTS
from uniassist.times.numerals import number

Verb = Literal["list", "show", "delete", "restore", "export"]

_READ_CHARACTERS = 300
_N = r"(?:\d{1,2}|[一二两三四五六七八九十]{1,3})"
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1, "最后一": -1}
_ORDINAL = r"first|second|third|fourth|fifth|last"
_VERB_EN = r"show|open|see|view|delete|remove|drop|discard|export|move|push|delay|postpone|shift|choose|pick|take"
_WHICH = re.compile(
    rf"(?:第\s*(?P<n1>{_N})|(?P<n2>最后一))\s*[个份条项]?的?\s*计划(?:的|里的?)?"
    rf"|计划\s*(?P<n3>{_N})(?=$|[\s，,。：:的吧了！!？?推提改删导太第])的?"
    r"|\b(?:my |the )?plan\s*(?:no\.?|number|#)?\s*(?P<n4>\d{1,2})(?:'s)?(?=\s*(?:$|[:,.;!?]))[:,]?"
    rf"|\b(?:the |my )?(?P<n5>{_ORDINAL}) plan\b(?:'s)?"
)
_WHICH_AFTER_VERB = re.compile(
    rf"(?P<verb>\b(?:{_VERB_EN})\s+(?:me\s+)?)(?:my\s+|the\s+)?plan\s*#?(?P<n6>\d{{1,2}})\b"
)
_BARE = re.compile(
    rf"^(?:第?\s*(?P<n1>{_N})\s*[个份]?|(?P<n2>最后一)个|(?:the )?(?P<n5>{_ORDINAL})(?: one)?"
    r"|(?:no\.?|number|#)\s*(?P<n4>\d{1,2}))[。.!！]?$"
)
_NAMED = re.compile(
    r"(?P<zh>[^，,。！!？?\s]{1,20}?)(?:的|那个|这个)计划|\b(?:the|my)\s+(?P<en>[\w' -]{2,40}?)\s+plan\b(?:'s)?"
)
_MAKING = re.compile(
    r"(?:做|制定|制订|安排|规划|列|拟|订|写|弄|搞|来|排|新建|建|要)\s*(?:一下)?(?:一?[个份下]|新的?)[^，,。]{0,30}?(?:计划|日程|安排|规划)"
    r"|\b(?:make|create|draw up|write|set up|need|want|like|give me|start)\s+(?:me\s+)?(?:a|an|another|new)\b"
    r"|\b(?:new|another) plan\b"
)
_SEE = r"(?:请|麻烦)?(?:帮我|给我)?(?:看一?看|看一?下|看|查看|查一?下|查|显示|打开|列出|列一下|展示)?(?:一下)?"
_SEE_EN = (
    r"(?:please\s+)?(?:can you\s+|could you\s+)?"
    r"(?:show|list|see|view|open|display|what are|which are)?\s*(?:me\s+)?"
)
_END = r"(?:都)?(?:有哪些|有什么|列表|清单|吗|呢|吧|,? please)?[。.？?！!]?"
_LIST = re.compile(
    rf"^{_SEE}(?:我的?)?(?:所有|全部|保存|存)(?:的|了的)?计划{_END}$"
    r"|^我(?:现在)?的计划(?:都)?(?:有哪些|有什么)?[。？?]?$|^(?:列出|列一下)我的计划$"
    r"|^(?:我|现在)?(?:都|一共)?(?:有|存了?|保存了?)(?:哪些|哪几个|几个|多少个?|什么)计划[。？?]?$"
    rf"|^{_SEE}计划(?:列表|清单)[。？?]?$|^(?:列出|列一下|查看)(?:所有|全部)?计划{_END}$"
    rf"|^{_SEE_EN}(?:all\s+)?(?:of\s+)?(?:my|the|all)?\s*(?:kept\s+|saved\s+)?plans(?:,? please)?[.?!]?$"
    r"|^(?:what|which|how many) plans (?:do|have) i(?: have| got)?[.?!]?$"
)
_SHOW = re.compile(
    rf"^{_SEE}(?:我的?)?(?:这个|那个|上次的?|现在的?|当前的?)?(?:计划|安排|进度|日程)(?:怎么样了?|到哪了?)?{_END}$"
    rf"|^{_SEE_EN}(?:(?:what|where)(?:'s| is)\s+)?(?:my|the|our)?\s*(?:last |current )?plan(?:,? please)?[.?!]?$"
)
_DELETE = re.compile(
    r"(?:删掉|删除|删了|删|扔掉|去掉|清空|清除|取消掉?)[^，,。步]{0,14}计划|计划[^，,。步]{0,6}(?:删掉|删除|删了|删|不要了|取消|作废)"
    r"|\b(?:delete|remove|drop|discard|cancel|throw away|get rid of)\b(?:(?!step)[^,.]){0,30}\bplans?\b"
)
_DELETE_IT = re.compile(
    r"^(?:把)?(?:它|这个|这份)?(?:整个)?(?:删掉|删除|删了)(?:它|这个|吧|掉)?[。！!]?$"
    r"|^(?:please )?(?:delete|discard) (?:it|this)[.!]?$"
)
_RESTORE = re.compile(
    r"^(?:请|帮我)?(?:撤销|撤回|恢复|还原|找回)"
    r"|^(?:please )?(?:undo|restore|undelete|bring (?:it|them|that) back)\b"
)
_EXPORT = re.compile(
    r"导出|(?:加|放|存|同步|添加|写)(?:到|进|入|去|在)?[^，,。]{0,6}日历|日历(?:文件|链接)|^(?:我的)?日历$"
    r"|\bexport\b|\b(?:add|put|save|sync|send)\b[^,.]{0,30}\bcalendar\b|\bics\b|\bicals?\b"
    r"|^(?:my )?calendar(?: link| file)?[.!]?$"
)
_STEP = re.compile(rf"第\s*{_N}\s*(?:步|个步骤)|步骤|\bsteps?\b")
_ALL = re.compile(r"所有|全部|全都|\ball\b|\bplans\b")


@dataclass(frozen=True)
class ShelfRequest:
    """`verb` None: none of these; perhaps a change. `which`: a plan's number, 0 where none is named.

    `is_all`: all of them are meant. `rest`: the text without the words that name the plan.
    `makes_new`: it asks for another plan.
    """

    verb: Verb | None
    which: int
    is_all: bool
    rest: str
    makes_new: bool


def shelf_request(text: str, goals: Sequence[str], *, awaits_choice: bool = False) -> ShelfRequest:
    """`goals`: of the kept plans, in order. `awaits_choice`: they were listed, so that a number names one."""
    text = text.strip()[:_READ_CHARACTERS]
    plain = simplified(text).lower()
    if len(plain) != len(text):  # some letters are two in lower case; then places in both aren't the same
        text = plain
    makes_new = _MAKING.search(plain) is not None
    which, rest = _which(plain, text, len(goals))
    if not which and awaits_choice and (bare := _BARE.match(plain)) is not None:
        which, rest = _number(bare, len(goals)), ""
    if not which and not makes_new:
        which, rest = _named(plain, text, goals)
    return ShelfRequest(_verb(plain, which), which, _ALL.search(plain) is not None, rest, makes_new)


def _verb(plain: str, which: int) -> Verb | None:
    if _RESTORE.search(plain) and not _STEP.search(plain):
        return "restore"
    if (_DELETE.search(plain) or _DELETE_IT.search(plain)) and not _STEP.search(plain):
        return "delete"
    if _EXPORT.search(plain):
        return "export"
    if not which and _LIST.match(plain):
        return "list"
    return "show" if _SHOW.match(plain) else None


def _which(plain: str, text: str, count: int) -> tuple[int, str]:
    if (found := _WHICH_AFTER_VERB.search(plain)) is not None:
        return int(found["n6"]), f"{text[: found.end('verb')]}it{text[found.end() :]}"
    if (found := _WHICH.search(plain)) is None:
        return 0, text
    return _number(found, count), f"{text[: found.start()]}{text[found.end() :]}".strip()


def _number(found: re.Match[str], count: int) -> int:
    word = next(each for each in found.groupdict().values() if each)
    counted = _ORDINALS.get(word) or number(word)
    return count if counted == -1 else counted


def _named(plain: str, text: str, goals: Sequence[str]) -> tuple[int, str]:
    """By the place or the subject of exactly one plan's goal."""
    if (found := _NAMED.search(plain)) is None:
        return 0, text
    words = found["zh"] or found["en"]
    meant = [at for at, goal in enumerate(goals, 1) if _is_of(words, simplified(goal).lower())]
    if len(meant) != 1:
        return 0, text
    return meant[0], f"{text[: found.start()]}{text[found.end() :]}".strip()


def _is_of(words: str, goal: str) -> bool:
    """ "看看东京" is of "去东京玩五天", "swimming" isn't of "a trip to Rome"."""
    if words in goal and len(words) > 1:
        return True
    subjects = (each.search(goal) for each in SUBJECTS)
    return any(found["subject"].strip() in words for found in subjects if found) or goal in words
