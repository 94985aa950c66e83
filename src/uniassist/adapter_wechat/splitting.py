"""Long texts in pieces that the platform takes: cut at the end of a sentence or line, not in a URL or a code block.

Pure. A piece may only be cut inside one of those when it alone is longer than a message may be.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

FENCE = re.compile(r"^[ \t]*```[^\n]*(?:\n|\Z)", re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]*```[^\n]*\n.*?(?:^[ \t]*```[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_URL = re.compile(r"https?://[\x21-\x7e]+")
# From the best place to the least: between paragraphs, lines, sentences, words.
_ENDS = (
    re.compile(r"\n[ \t]*\n"),
    re.compile(r"\n"),
    re.compile(r"[。！？!?；;…]+[”’」』）)]*|\.(?=\s)"),
    re.compile(r"[，,、：:\s]"),
)
_JOINERS = "\u200d\ufe0e\ufe0f"
_LABEL_BYTES = 24
_LOOK_AHEAD = 200


def size(text: str) -> int:
    """As the platform counts: in UTF-8."""
    return len(text.encode())


def first_piece(text: str, limit_bytes: int) -> tuple[str, int]:
    """What of `text` comes first, and how many characters that takes, with the white space behind it."""
    window = text[: limit_bytes + 1]  # a character has at least a byte: what comes behind can't fit
    if len(text) == len(window) and size(text) <= limit_bytes:
        return text.rstrip(), len(text)
    # what begins at the cut is known for a URL or a block by what comes behind it
    end = _place(text[: limit_bytes + _LOOK_AHEAD], _fitting(window, limit_bytes))
    taken = end
    while taken < len(text) and text[taken].isspace():
        taken += 1
    return text[:end].rstrip(), taken


def pieces(text: str, limit_bytes: int) -> Iterator[str]:
    """All of `text`, each piece at most `limit_bytes`; nothing but white space between them is lost."""
    while text.strip():  # ends: each round takes at least one character
        piece, taken = first_piece(text, limit_bytes)
        if piece.strip():
            yield piece
        text = text[taken:]


def numbered_piece(text: str, said: int, limit_bytes: int) -> tuple[str, int]:
    """As `first_piece`, headed by its number when it is one of several; `said` pieces went before."""
    whole, taken = first_piece(text, limit_bytes)
    if said == 0 and taken == len(text):
        return whole, taken
    room = limit_bytes - _LABEL_BYTES
    total = said + sum(1 for _ in pieces(text, room))
    piece, taken = first_piece(text, room)
    return f"（{said + 1}/{total}）\n{piece}", taken


def _fitting(text: str, limit_bytes: int) -> int:
    """How many characters fit, at least one. Fewer than `text` has."""
    # an undecodable rest is the part of a character that the cut went through
    return max(1, len(text.encode()[:limit_bytes].decode(errors="ignore")))


def _place(text: str, most: int) -> int:
    """Where to cut, at most at `most`; `text` goes at least one character further."""
    kept_whole = [span for span in _spans(text) if span[0] < most]
    for find in _ENDS:
        ends = [match.end() for match in find.finditer(text, 0, most)]
        good = [end for end in ends if most // 3 < end and not _is_inside(end, kept_whole)]
        if good:
            return good[-1]
    for start, end in kept_whole:
        if start < most < end:
            # all of it to the next piece, unless it is what this one begins with
            return start if text[:start].strip() else _inside(text, most)
    cut = _inside(text, most)
    return next((end for start, end in kept_whole if start < cut < end), cut)


def _inside(text: str, most: int) -> int:
    """A cut where there is no good place: at a line if there is one, never between a letter and its mark."""
    line = text.rfind("\n", 1, most) + 1
    if line > most // 3:
        return line
    end = most
    while end > 1 and (text[end] in _JOINERS or text[end - 1] == "\u200d" or unicodedata.combining(text[end])):
        end -= 1
    return end if end > 1 else most


def _spans(text: str) -> list[tuple[int, int]]:
    return sorted(match.span() for find in (_BLOCK, _URL) for match in find.finditer(text))


def _is_inside(at: int, spans: list[tuple[int, int]]) -> bool:
    return any(start < at < end for start, end in spans)
