"""What somebody says of their plan. Another one is another line of the file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.provider_plan.planner.requests import request_in
from uniassist.times import zone_of

NOW = dt.datetime(2026, 2, 25, 10, 16, tzinfo=zone_of(None))
LINES = Path(__file__).with_name("requests.tsv").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("#")])
def test_what_is_said_of_a_plan_is_a_change_or_none(line: str) -> None:
    said, expected = line.split("\t")
    found = request_in(said, NOW, count=12)
    assert (repr(found) if found is not None else "-") == expected


@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    request_in(text, NOW, count=12)
