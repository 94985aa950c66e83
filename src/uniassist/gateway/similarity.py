"""How alike two texts are, also in Chinese, where words have no spaces: shares of character pairs."""

from __future__ import annotations

import unicodedata
from collections import Counter

MIN_TELLING_LENGTH = 6


def normalize(text: str) -> str:
    """Letters, digits and ideographs only, compatibility forms folded, lower case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def tells_enough(text: str) -> bool:
    """Whether the text is long enough to judge its topic."""
    return len(normalize(text)) >= MIN_TELLING_LENGTH


def similarity(one: str, other: str) -> float:
    """Dice coefficient of the character bigrams: 0 (nothing in common) to 1 (the same pairs)."""
    pairs_of_one, pairs_of_other = _bigrams(normalize(one)), _bigrams(normalize(other))
    total = pairs_of_one.total() + pairs_of_other.total()
    if total == 0:
        return 1.0 if normalize(one) == normalize(other) else 0.0
    return 2 * (pairs_of_one & pairs_of_other).total() / total


def _bigrams(text: str) -> Counter[str]:
    return Counter(text[at : at + 2] for at in range(len(text) - 1))
