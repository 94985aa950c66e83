"""Named SQL queries, kept in `queries/*.sql`, each under a line `-- name: the_name`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load(family: str) -> Mapping[str, str]:
    """The queries of `queries/<family>.sql` by name. A name used twice or an empty query is an error."""
    source = files("uniassist.store").joinpath("queries", f"{family}.sql").read_text("utf-8")
    parts = _HEADER.split(source)
    if parts[0].strip() and not all(line.startswith("--") for line in parts[0].strip().splitlines()):
        raise ValueError(f"queries/{family}.sql: SQL before the first '-- name:' line")
    found: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        query = body.strip().rstrip(";")
        if name in found or not query:
            raise ValueError(f"queries/{family}.sql: {name} is empty or there twice")
        found[name] = query
    return MappingProxyType(found)
