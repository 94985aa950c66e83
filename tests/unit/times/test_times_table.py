"""The table of messages: what a person would expect of each. Another one is another line of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from uniassist.times import read

TABLE = Path(__file__).with_name("times.tsv")


def cases() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("language", "now", "zone", "message", "expected", "words"), cases())
def test_a_message_says_what_a_person_would_expect(
    language: str, now: str, zone: str, message: str, expected: str, words: str
) -> None:
    clock = dt.datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(zone))
    found = read(message, clock)
    assert (" + ".join(map(str, found)) or "-") == expected, language
    assert "|".join(message[each.begin : each.end] for each in found) == words
