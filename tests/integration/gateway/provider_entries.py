"""Entries of a providers file."""

from __future__ import annotations


def entry(provider_id: str, keyword: str, base_url: str | None = None, **more: str) -> str:
    """One `[[provider]]` on one keyword; `more` as TOML has the values."""
    lines = ["[[provider]]", f'id = "{provider_id}"', f'keywords = ["{keyword}"]']
    lines += [f'base_url = "{base_url}"'] if base_url else []
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in more.items()), ""])
