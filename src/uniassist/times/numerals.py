"""Numbers as people write them in dates: 12, 十二, 二十一, 廿三, 二〇二六, twelve."""

from __future__ import annotations

_DIGITS = {each: at for at, each in enumerate("〇一二三四五六七八九")} | {"两": 2, "零": 0}
_COUNTED = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
]
ENGLISH = {word: at for at, word in enumerate(_COUNTED, 1)} | {
    "a": 1,
    "an": 1,
    "a couple of": 2,
    "a few": 3,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "forty-five": 45,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
}


def number(written: str) -> int:
    """ValueError for what is none."""
    if written.isdecimal():
        return int(written)
    if written in ENGLISH:
        return ENGLISH[written]
    if len(written) == 4 and all(each in _DIGITS for each in written):
        return int("".join(str(_DIGITS[each]) for each in written))
    if len(written) == 2 and 0 < _DIGITS.get(written[0], 0) < _DIGITS.get(written[1], 0):
        return _DIGITS[written[1]]  # "两三天": three at most
    return _chinese(written.replace("廿", "二十").replace("卅", "三十").removeprefix("零"))


def _chinese(written: str) -> int:
    hundreds, hundred, below = written.partition("百")
    if not hundred:
        hundreds, below = "", written
    tens, ten, ones = below.removeprefix("零").partition("十")
    if not ten:
        tens, ones = "", below.removeprefix("零")
    return 100 * _digit(hundreds, 1 if hundred else 0) + 10 * _digit(tens, 1 if ten else 0) + _digit(ones, 0)


def _digit(written: str, missing: int) -> int:
    if not written:
        return missing
    if written not in _DIGITS:
        raise ValueError(f"{written!r}: expected one digit")
    return _DIGITS[written]
