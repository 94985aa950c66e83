"""What a command was for, so that whoever grants rights knows which: its name, and the patterns of its keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SCRIPTS = ("EVAL", "EVALSHA", "FCALL")
_READS = ("XREAD", "XREADGROUP")
# What follows a second separator may be a session's name.
_FAMILY = re.compile(r"[^:]*:(?:[^:]*:)?")


def said_of(arguments: Sequence[object]) -> str:
    """`XADD uniassist:timeline:*`; only the name of a command without keys."""
    words = [_text(each) for each in arguments]
    if not words:
        return ""
    name, _, more = words[0].upper().partition(" ")
    patterns = dict.fromkeys(map(_pattern, _keys(name, [*more.split(), *words[1:]])))
    return " ".join([words[0].upper(), *patterns])


def _keys(name: str, rest: list[str]) -> list[str]:
    """Or channels."""
    if name in _SCRIPTS:
        count = int(rest[1]) if len(rest) > 1 and rest[1].isdecimal() else 0
        return rest[2 : 2 + count]
    if name in _READS:
        after = [word.upper() for word in rest].index("STREAMS") + 1
        return rest[after : after + (len(rest) - after) // 2]
    if name in ("XGROUP", "XINFO", "MEMORY", "OBJECT"):
        return rest[1:2]
    return [] if name in ("AUTH", "CLIENT", "CONFIG", "HELLO", "INFO", "PING", "SCRIPT", "SELECT") else rest[:1]


def _pattern(key: str) -> str:
    family = _FAMILY.match(key)
    return f"{family.group()}*" if family else key


def _text(argument: object) -> str:
    return argument.decode("utf-8", "replace") if isinstance(argument, bytes) else str(argument)
