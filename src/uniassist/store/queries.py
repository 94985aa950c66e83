"""Named SQL queries, kept in `queries/*.sql`, each under a line `-- name: the_name`.

Their parameters have names as well: `:session_ids` is translated to the driver's `$n` when a file is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
# Literals, quoted names, comments and casts, whose colons begin no parameter; then the parameter itself.
_COLONS = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/|::|:([a-z_][a-z0-9_]*)""", re.DOTALL)
_NUMBERS = re.compile(r"\$(\d+)")


@dataclass(frozen=True)
class Statement:
    """`sql` with `$n` where the file has `:name`; `parameters`: their names, in the order of `$1`, `$2`, …

    `text`: as the file has it.
    """

    name: str
    sql: str
    parameters: tuple[str, ...]
    text: str

    def __call__(self, **values: Any) -> tuple[Any, ...]:
        """`(sql, *arguments)` for the driver. TypeError names what is missing and what nobody asked for."""
        if values.keys() != set(self.parameters):
            wanted, given = set(self.parameters), set(values)
            raise TypeError(f"{self.name}: missing {sorted(wanted - given)}, unknown {sorted(given - wanted)}")
        return (self.sql, *(values[parameter] for parameter in self.parameters))


@cache
def statements(family: str) -> Mapping[str, Statement]:
    """The statements of `queries/<family>.sql` by name."""
    path = files("uniassist.store").joinpath("queries", f"{family}.sql")
    return MappingProxyType(parsed(path.read_text("utf-8"), where=path.name))


@cache
def composed(family: str, parts: tuple[str, ...], end: str) -> Statement:
    """One statement of those parts of `queries/parts/<family>.sql`, each one or more named queries, and its end."""
    found = statements(f"parts/{family}")
    named = ",\n".join(_without_comments(found[part].text) for part in parts)
    return _translated(f"{family}({', '.join(parts)})", f"WITH {named}\n{_without_comments(found[end].text)}")


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def parsed(source: str, *, where: str) -> dict[str, Statement]:
    """Its statements by name. ValueError when a name is there twice or without a statement."""
    parts = _HEADER.split(source)
    if parts[0].strip() and not all(line.startswith("--") for line in parts[0].strip().splitlines()):
        raise ValueError(f"{where}: SQL before the first '-- name:' line")
    found: dict[str, Statement] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        text = body.strip().rstrip(";")
        if name in found or not text:
            raise ValueError(f"{where}: {name} is empty or there twice")
        found[name] = _translated(name, text)
    return found


def _translated(name: str, text: str) -> Statement:
    numbers: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        parameter = found.group(1)
        return found.group() if parameter is None else f"${numbers.setdefault(parameter, len(numbers) + 1)}"

    sql = _COLONS.sub(numbered, text)
    if numbers and len(set(_NUMBERS.findall(sql))) != len(numbers):
        raise ValueError(f"{name}: parameters have names, so none may have a number")
    return Statement(name, sql, tuple(numbers), text)
