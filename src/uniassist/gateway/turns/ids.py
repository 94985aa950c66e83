"""Time-ordered ids: neighbours in time are neighbours in the index, which keeps a large table fast."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

_DRAWN_IDS = 256  # ids whose random bits are drawn at once: a system call for each would be most of its cost
_DIGITS = 20
_VARIANT = {digit: "89ab"[value & 3] for value, digit in enumerate("0123456789abcdef")}


def _random_digits() -> Iterator[str]:
    while True:
        drawn = os.urandom(_DRAWN_IDS * _DIGITS // 2).hex()
        for at in range(0, len(drawn), _DIGITS):
            yield drawn[at : at + _DIGITS]


_digits = _random_digits()


def _draw_anew() -> None:
    global _digits
    _digits = _random_digits()


os.register_at_fork(after_in_child=_draw_anew)


def new_id() -> str:
    """32 hex digits in the layout of UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random."""
    random = next(_digits)
    return f"{int(time.time() * 1000):012x}7{random[:3]}{_VARIANT[random[3]]}{random[4:19]}"


def now_ms() -> int:
    return int(time.time() * 1000)
