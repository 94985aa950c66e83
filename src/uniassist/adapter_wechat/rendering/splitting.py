"""Long texts in pieces that the platform takes, cut at the end of a sentence or a line. Pure.

A URL, an anchor, a block of code and what a reader sees as one character stay whole. Each of them is cut only when
it alone is longer than a message may be.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import regex

# A block of code: its first fence, what stands in it, and the fence that ends it, which may be missing.
_BLOCK = re.compile(
    r"^[ \t]*(`{3,})[^`\n]*(?:\n|\Z)(.*?)(?:^[ \t]*\1`*[ \t]*(?:\n|\Z)|\Z)", re.MULTILINE | re.DOTALL
)
# Addresses may have Chinese in their paths; Chinese punctuation ends them.
_URL = re.compile(r"https?://[^\s<>\"，。；：！？、（）《》【】「」“”‘’…]+", re.IGNORECASE)
_ANCHOR = re.compile(r"<a\s[^<>]*>[^<>]*</a\s*>", re.IGNORECASE)
_CHARACTER = regex.compile(r"\X")  # as a reader counts: with its marks, modifiers and joined parts
# From the best place to the least: between paragraphs, lines, sentences, words.
_ENDS = (
    re.compile(r"\n[ \t]*\n"),
    re.compile(r"\n"),
    re.compile(r"[。！？!?；;…]+[”’」』）)]*|\.(?=\s)"),
    re.compile(r"[，,、：:\s]"),
)
_LABEL_BYTES = 24


def size(text: str) -> int:
    """As the platform counts: in UTF-8."""
    return len(text.encode())


def without_fences(text: str) -> str:
    """`text` as it is shown. Its blocks of code lose their fences and nothing else."""
    return _BLOCK.sub(lambda block: block[2], text)


def first_piece(text: str, limit_bytes: int) -> tuple[str, int]:
    """What of `text` comes first, and how many characters that takes, with the white space behind it."""
    window = text[: limit_bytes + 1]  # a character has at least a byte: what comes behind can't fit
    if len(text) == len(window) and size(text) <= limit_bytes:
        return text.rstrip(), len(text)
    # What may not be cut and fits a message ends within another message's length behind the cut.
    end = _place(text[: 2 * limit_bytes + 1], _fitting(window, limit_bytes))
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
    boundaries = [0, *(found.end() for found in _CHARACTER.finditer(text, 0, min(len(text), most + _LABEL_BYTES)))]
    for find in _ENDS:
        ends = [match.end() for match in find.finditer(text, 0, most)]
        good = [end for end in ends if most // 3 < end and not _is_inside(end, kept_whole)]
        whole = [end for end in good if _at_boundary(boundaries, end) == end]
        if whole:
            return whole[-1]
    for start, end in kept_whole:
        if start < most < end:
            # all of it to the next piece, unless it is what this one begins with
            return start if text[:start].strip() else _inside(text, most, boundaries)
    cut = _inside(text, most, boundaries)
    return next((end for start, end in kept_whole if start < cut < end), cut)


def _inside(text: str, most: int, boundaries: Sequence[int]) -> int:
    """A cut where there is no good place: at a line if there is one, never within what is seen as one character."""
    line = text.rfind("\n", 1, most) + 1
    if line > most // 3:
        return line
    return _at_boundary(boundaries, most) or most


def _at_boundary(boundaries: Sequence[int], most: int) -> int:
    """The last of the boundaries up to `most`."""
    return boundaries[bisect_right(boundaries, most) - 1]


def _spans(text: str) -> list[tuple[int, int]]:
    return sorted(match.span() for find in (_BLOCK, _URL, _ANCHOR) for match in find.finditer(text))


def _is_inside(at: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start < at < end for start, end in spans)
