"""Time-ordered ids: neighbours in time are neighbours in the index, which keeps a large table fast."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """32 hex digits in the layout of UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random."""
    milliseconds = int(time.time() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | random
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"{value:032x}"


def now_ms() -> int:
    return int(time.time() * 1000)
