"""Which number of a menu somebody names, alone ("第4个", "4️⃣", "option 2") or before what they fill in. Pure.

A sentence may begin with a number as well: "3:30 开会", "1 小时后提醒我", "2 people". Where that can't be told from
an answer it counts as a sentence: an answer is asked for again, and a sentence taken for one would be lost.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from uniassist.contracts.scripts import simplified

_KEYCAP = "\ufe0f\u20e3"
_FULLWIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_CIRCLED = {ord(each): str(at) for at, each in enumerate("①②③④⑤⑥⑦⑧⑨", 1)}

_ZH_DIGITS = {each: at for at, each in enumerate("一二三四五六七八九", 1)}
_EN_NUMBERS = {
    word: at
    for at, words in enumerate(
        (
            ("one", "first"),
            ("two", "second"),
            ("three", "third"),
            ("four", "fourth"),
            ("five", "fifth"),
            ("six", "sixth"),
            ("seven", "seventh"),
            ("eight", "eighth"),
            ("nine", "ninth"),
            ("ten", "tenth"),
        ),
        1,
    )
    for word in words
}
_N = r"(\d{1,3}|[一二三四五六七八九十]{1,3})"
_ALONE = (
    re.compile(r"[(\[#]?\s*(\d{1,3})\s*[)\].、。]?"),
    re.compile(
        rf"(?:我?(?:就|要|想要|想)?(?:选择?|挑|回复|按)?)(?:第\s*{_N}\s*[个项条种号]?|(?:选项|序号|编号|方案)?\s*{_N}\s*(?:号选项)?)"
        r"[吧呀啊哦]?[。.!！]?"
    ),
    re.compile(
        r"(?:i(?:'ll| will| would like to| want to)?\s+)?(?:(?:take|choose|pick|select|go with)\s+)?(?:the\s+)?"
        rf"(?:option|number|no\.?|choice|item)?\s*#?(\d{{1,3}}(?:st|nd|rd|th)?|{'|'.join(_EN_NUMBERS)})"
        r"(?:\s+(?:one|option|choice|item))?(?:,?\s+please)?[.!]?"
    ),
)

# The separators that only an answer has, then white space, which a sentence has as well.
_FILLED = re.compile(
    r"\s*(?:第\s*)?(?P<number>\d{1,3})(?:"
    rf"(?P<marked>[{_KEYCAP}]+\s*|\s*[、=]\s*|\s*[:](?P<colon>)\s*|\s*,(?!\d)\s*|[.](?!\d)\s*|\)\s*|\s*-\s*(?=\D)"
    r"|\s*[个项条空](?:\s*[:=、,是填]\s*|\s+))|(?P<space>\s+))(?P<content>\S.*)",
    re.DOTALL,
)
_CIRCLED_FIRST = re.compile(r"\s*[①-⑨]")
_MINUTES = re.compile(r"[0-5]\d(?!\d|\s*(?:分钟|小时|天|周|个|元|块|岁|人|次|%|min|hour|day))")

_UNITS_ZH = (
    r"个(?!性|体|人(?!去|来|用|吃|住|玩|要|能|可以|一起|出))|小时|分钟|分(?!手|享|析|期)|秒|钟头|刻钟|天(?!天|气|津|文)|周(?!末|年|围|边)|星期(?!$|[一二三四五六日天])|礼拜"
    r"|月(?!底|饼|初)|年(?!底|终|会|假|货|轻)|点(?!心|外|餐|菜)|号(?!召)|日(?!语|本|记|程|常|式)|人(?!生|民|工|类|际|像|均|数|员|家|口|力)|位(?!于)|名(?!字)"
    r"|次(?!日|要)|件|份(?!额)|元(?!旦|宵)|块(?!链)|万|千(?!万)|百(?!度|科)|亿|折|岁|斤|公里|公斤|千米|米(?!饭|粉)|克(?!服)|杯|楼|层|路"
    r"|张(?!家界)|本(?!周|月|地|人|科)|只(?!要|能|有|是|想|去)|条(?!件)|台(?!湾|北)|套(?!餐)|站(?!起|点)|遍|趟|场(?!地)|页|级|度(?!假|过)"
    r"|晚(?!上|饭|餐)|间(?!隔)|把|瓶|盒|包(?!括)|组(?!织)|种(?!植|花|树)|顿|口(?!语|才)|头|辆|门|期|期间|句|段|篇|章|集|多(?!去|吃|喝|读|看)"
)
_UNITS_EN = (
    r"people|persons?|adults?|kids|child(?:ren)?|friends?|guests?|nights?|days?|weeks?|months?|years?|hours?|hrs?"
    r"|min(?:ute)?s?|secs?|seconds?|am|pm|a\.m|p\.m|o'?clock|km|kg|miles?|meters?|metres?|dollars?|bucks|euros?|yuan|rmb"
    r"|usd|percent|times?|tickets?|rooms?|items?|things?|more|or|and|to|of|x|%|/|\+|[a-z]+(?<!s)s(?= |$)"
)
_QUANTITY = re.compile(rf"(?:{_UNITS_ZH})|(?:{_UNITS_EN})(?![a-z])|[%°℃]", re.IGNORECASE)


@dataclass(frozen=True)
class Numbered:
    """A line that begins with a number.

    content: what follows, as it was written.
    could_be_sentence: the number may count something, or be a time.
    """

    number: int
    content: str
    could_be_sentence: bool


def folded(text: str) -> str:
    """`text` with its wide forms narrow and its traditional characters simplified.

    As long as it was: a place in one is the same place in the other.
    """
    return simplified(text.translate(_FULLWIDTH))


def number_named(text: str) -> int | None:
    """The number that `text` names and says nothing else; None when it does."""
    plain = "".join(each for each in text if each not in _KEYCAP).replace("🔟", "10")
    plain = simplified(unicodedata.normalize("NFKC", plain)).strip().casefold()
    for form in _ALONE:
        if (found := form.fullmatch(plain)) is not None:
            return _read_number(next(each for each in found.groups() if each is not None))
    return None


def numbered(line: str) -> Numbered | None:
    """A line as a number and what follows it; None when it doesn't begin so."""
    narrow = folded(line)
    if _CIRCLED_FIRST.match(line) is not None:
        bare = line.lstrip()
        content = bare[1:].lstrip(" \t\u3000.、:：")
        return Numbered(int(_CIRCLED[ord(bare[0])]), content, could_be_sentence=False) if content else None
    found = _FILLED.fullmatch(narrow)
    if found is None:
        return None
    content = line[found.start("content") :].rstrip()
    if found["marked"] is not None:
        is_time = found["colon"] is not None and _MINUTES.match(narrow, found.start("content")) is not None
        return Numbered(int(found["number"]), content, could_be_sentence=is_time)
    return Numbered(int(found["number"]), content, _QUANTITY.match(found["content"]) is not None)


def _read_number(named: str) -> int:
    digits = named.rstrip("stndrh") if named[0].isdigit() else named
    if digits.isdigit():
        return int(digits)
    if named in _EN_NUMBERS:
        return _EN_NUMBERS[named]
    tens, ten, ones = named.partition("十")
    if not ten:
        return _ZH_DIGITS[named] if len(named) == 1 else 0
    return 10 * (_ZH_DIGITS.get(tens, 0) if tens else 1) + (_ZH_DIGITS.get(ones, 0) if ones else 0)
