"""Traditional Chinese as simplified, for comparing only: what is stored and said stays as it was written."""

from __future__ import annotations

from functools import cache, lru_cache

from opencc import OpenCC

_SHORT = 300  # characters: a message, as people write them
_BLOCKS = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00))


def simplified(text: str) -> str:
    """`text` with each traditional character as its simplified one.

    Character by character, so that a place in one text is the same place in the other.
    """
    if text.isascii():
        return text
    return _of_short(text) if len(text) <= _SHORT else text.translate(_counterparts())


@lru_cache(maxsize=256)  # asked a dozen times of each message and its parts
def _of_short(text: str) -> str:
    return text.translate(_counterparts())


@cache
def _counterparts() -> dict[int, str]:
    """By code point. All at once: the library reads words as well, which might change a text's length."""
    characters = [chr(code) for begin, end in _BLOCKS for code in range(begin, end)]
    counterparts = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    pairs = zip(characters, counterparts, strict=True)
    return {ord(one): other for one, other in pairs if one != other and len(other) == 1}
