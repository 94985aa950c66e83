"""What a phone can show of a text. Pure."""

from __future__ import annotations

import regex

# Control characters, halves of a pair and non-characters: XML can't carry them, and JSON would show their escapes.
_UNSHOWABLE = regex.compile(r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}--[\t\n\r]]", regex.VERSION1)
_INVISIBLE = regex.compile(r"[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cf}\u2800]*")


def showable(text: str) -> str:
    """`text` without what no phone shows, stripped; empty when nothing that is left of it can be seen."""
    left = _UNSHOWABLE.sub("", text).strip()
    return "" if _INVISIBLE.fullmatch(left) else left
