"""How alike two texts are: by their words, or where nothing separates words (Chinese), by pairs of characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from operator import add

MIN_TELLING_LENGTH = 6
_NO_LETTERS = re.compile(r"[\W_]+")
# Han, Kana, Thai, Lao, Khmer
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Words that say nothing of what a text is about: each topic has them.
_EMPTY = """
a an the i me my mine you your we us our it its he him his she her they them their this that these those
is are was were be been being am do does did done can could would should will shall may might must has have had
of in on at for to with without by from into over under up down out off about near and or but not no nor so if as
than then there here again also too very just any some more most good what which who whom whose when where why how
please want like need help let make made go going find show give tell dont cant im id ill ive isnt whats
thats hows something anything get got
"""
_SAYS_NOTHING = frozenset(_EMPTY.split())
_ENDINGS = ("ings", "ing", "ies", "ied", "ese", "es", "ed", "s")


def normalize(text: str) -> str:
    """Letters, digits and ideographs only, compatibility forms folded, lower case; a space between words."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if _UNSPACED.search(folded) is not None:
        return _NO_LETTERS.sub("", folded)
    return _NO_LETTERS.sub(" ", folded.replace("'", "").replace("’", "")).strip()


def topic(text: str) -> str:
    """`text` normalized, to be compared with others; empty when it is too short to judge its topic."""
    normalized = normalize(text)
    return normalized if len(normalized) - normalized.count(" ") >= MIN_TELLING_LENGTH else ""


def similarity(one: str, other: str) -> float:
    """Dice coefficient of normalized texts' words or pairs of characters: 0 (nothing in common) to 1 (the same)."""
    if one == other:
        return 1.0
    if _UNSPACED.search(one) is None and _UNSPACED.search(other) is None:
        mine, theirs = _words(one), _words(other)
        total = len(mine) + len(theirs)
        return 2 * len(mine & theirs) / total if total else 0.0
    return _by_pairs(one.replace(" ", ""), other.replace(" ", ""))


def _by_pairs(one: str, other: str) -> float:
    total = max(0, len(one) - 1) + max(0, len(other) - 1)
    if total == 0:
        return 0.0
    left, common = Counter(map(add, one, one[1:])), 0
    for pair in map(add, other, other[1:]):
        if left.get(pair, 0) > 0:
            left[pair] -= 1
            common += 1
    return 2 * common / total


def _words(normalized: str) -> frozenset[str]:
    """Stems of the words that say something; of all words where none does."""
    words = normalized.split()
    return frozenset(_stem(each) for each in words if each not in _SAYS_NOTHING) or frozenset(words)


def _stem(word: str) -> str:
    """swimming, swims, swim; Japanese, Japan; lessons, lesson."""
    ending = next((each for each in _ENDINGS if word.endswith(each) and len(word) - len(each) >= 3), "")
    stem = word.removesuffix(ending)
    if ending and len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "aeiosl":
        stem = stem[:-1]
    return stem[:-1] if len(stem) > 3 and stem[-1] in "ey" else stem
