"""Traditional Chinese as simplified, for comparing only: what is stored and said stays as it was written."""

from __future__ import annotations

from functools import cache

from opencc import OpenCC

_BLOCKS = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00))


def simplified(text: str) -> str:
    """`text` with each traditional character as its simplified one.

    Character by character, so that a place in one text is the same place in the other.
    """
    return text if text.isascii() else text.translate(_counterparts())


@cache
def _counterparts() -> dict[int, str]:
    """By code point. All at once: the library reads words as well, which might change a text's length."""
    characters = [chr(code) for begin, end in _BLOCKS for code in range(begin, end)]
    counterparts = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    pairs = zip(characters, counterparts, strict=True)
    return {ord(one): other for one, other in pairs if one != other and len(other) == 1}
