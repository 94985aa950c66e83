"""Texts that others wrote, inside Markdown that has to stay what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


def plain(text: str) -> str:
    """On one line, shown as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """On one line, in the fixed font, also inside a table."""
    line = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (_longest_fence(line) + 1)
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{edge}{line}{edge}{fence}" if line else ""


def block(lines: Iterable[str]) -> list[str]:
    """Lines as they are. The fence is longer than any in them."""
    kept = [line for text in lines for line in text.splitlines() or [""]]
    fence = "`" * max(3, _longest_fence("\n".join(kept)) + 1)
    return [f"{fence}text", *kept, fence]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Cells arrive as Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def link(file: str) -> str:
    return f"[{file}]({file})"


def _longest_fence(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
