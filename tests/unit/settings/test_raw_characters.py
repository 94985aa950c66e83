"""What a password does to a URL, said without the password."""

from __future__ import annotations

import pytest

from uniassist.settings.urls import raw_character


@pytest.mark.parametrize(
    ("url", "raw"),
    [
        ("postgresql://u:p@ss@h:5432/db", "@"),
        ("redis://:p/ss@h:6379/0", "/"),
        ("redis://:p#ss@h:6379/0", "#"),
        ("postgresql://u:pa?ss@h/db", "?"),
        ("postgresql://u:p%40ss@h:5432/db?sslmode=require", None),
        ("postgresql://h:5432/db?options=a@b", None),
        ("postgresql://h/db", None),
        ("redis://[::1]:6379/0", None),
    ],
)
def test_a_raw_character_in_a_password_is_found(url: str, raw: str | None) -> None:
    assert raw_character(url) == raw
