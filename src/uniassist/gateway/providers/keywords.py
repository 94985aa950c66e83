"""Keywords in a text: Chinese ones anywhere, for nothing separates words; others as whole words, inflected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

from uniassist.contracts.scripts import simplified

_LATIN = r"a-zß-öø-ɏ0-9_"
_BETWEEN = r"[\s-]+"
_VOWELS = "aeiou"
_MOST_KEYWORDS = 5000


def found(text: str, keywords: Iterable[str]) -> tuple[str, ...]:
    """Those of `keywords` that are in `text`, whatever their case, width and script."""
    return found_in(fold(text), keywords)


def found_in(folded: str, keywords: Iterable[str]) -> tuple[str, ...]:
    """As `found`, of a text that `fold` has folded."""
    return tuple(keyword for keyword in keywords if _is_in(keyword, folded))


def prepare(keywords: Iterable[str]) -> None:
    """Have their patterns made, and the table of scripts read: 70 ms that the first person's message waited for."""
    for keyword in keywords:
        _searched(keyword)


def _is_in(keyword: str, folded: str) -> bool:
    start, pattern = _searched(keyword)
    return start in folded and pattern.search(folded) is not None


@lru_cache(maxsize=_MOST_KEYWORDS)
def _searched(keyword: str) -> tuple[str, re.Pattern[str]]:
    """What each match begins with, and the pattern: most keywords aren't there, which is seen at little cost so."""
    *words, last = fold(keyword).split() or [fold(keyword)]
    forms, behind = [last], ""
    if _is_latin(last[-1:]):
        forms, behind = _forms(last), f"(?![{_LATIN}])"
    ends = "|".join(re.escape(form) + behind for form in forms)
    body = _BETWEEN.join([*(re.escape(word) for word in words), f"(?:{ends})"])
    pattern = re.compile(f"(?<![{_LATIN}]){body}" if _is_latin(fold(keyword)[:1]) else body)
    return words[0] if words else _common_start(forms), pattern


def _common_start(forms: list[str]) -> str:
    return "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*forms, strict=False)))


def _forms(word: str) -> list[str]:
    """An English word with its regular inflections: plan, plans, planning, planned."""
    if len(word) < 3 or not word.isalpha() or not word.isascii():
        return [word, f"{word}s"]
    stems = [word]
    if word.endswith("e"):
        return [word, f"{word}s", f"{word}d", f"{word[:-1]}ing"]
    if word.endswith("y") and word[-2] not in _VOWELS:
        return [word, f"{word[:-1]}ies", f"{word[:-1]}ied", f"{word}ing"]
    if word[-1] not in f"{_VOWELS}wxy" and word[-2] in _VOWELS and word[-3] not in _VOWELS:
        stems.append(word + word[-1])
    inflected = [f"{stem}{ending}" for stem in stems for ending in ("ing", "ed")]
    return [word, f"{word}s", f"{word}es", *inflected]


def fold(text: str) -> str:
    """Without case and width, traditional Chinese as simplified."""
    return simplified(unicodedata.normalize("NFKC", text).casefold())


def _is_latin(character: str) -> bool:
    return re.match(f"[{_LATIN}]", character) is not None
