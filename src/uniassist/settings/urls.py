"""URLs as people write them: what their secrets do to them, and their parameters as libpq reads such."""

from __future__ import annotations

import re
from urllib.parse import unquote

from uniassist.errors import SettingsError

_ADDRESS = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?")


def raw_character(url: str) -> str | None:
    """What in a URL's password ends the password for some readers and not for others; None where nothing does."""
    rest = url.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1:
        return "@"
    if "@" in authority or "@" not in rest or not authority.partition(":")[2]:
        return None
    is_hosts = all(_ADDRESS.fullmatch(address) for address in authority.split(","))
    return None if is_hosts else rest[len(authority)]


def parameters(query: str, variable: str) -> dict[str, str]:
    """By name; of one that is said twice the last. A `+` stands for itself. SettingsError names `variable`."""
    found = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals:
            raise SettingsError(f"{variable}: expected name=value after the question mark, separated by &")
        found[unquote(name)] = unquote(value)
    return found
