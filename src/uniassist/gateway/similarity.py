"""How alike two texts are, also in Chinese, where words have no spaces: shares of character pairs."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from operator import add

MIN_TELLING_LENGTH = 6
_NO_LETTERS = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """Letters, digits and ideographs only, compatibility forms folded, lower case."""
    return _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text).casefold())


def topic(text: str) -> str:
    """`text` normalized, to be compared with others; empty when it is too short to judge its topic."""
    normalized = normalize(text)
    return normalized if len(normalized) >= MIN_TELLING_LENGTH else ""


def similarity(one: str, other: str) -> float:
    """Dice coefficient of normalized texts' character bigrams: 0 (nothing in common) to 1 (the same pairs)."""
    if one == other:
        return 1.0
    total = max(0, len(one) - 1) + max(0, len(other) - 1)
    if total == 0:
        return 0.0
    left, common = Counter(map(add, one, one[1:])), 0
    for pair in map(add, other, other[1:]):
        if left.get(pair, 0) > 0:
            left[pair] -= 1
            common += 1
    return 2 * common / total
