"""Each claim of the threat model names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs/threat-model.md").read_text("utf-8")
_ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in _PAGE.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| claim"))
]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: str(row[0])[:60])
def test_a_claim_has_a_test_that_exists(row: list[str]) -> None:
    claim, named = row
    assert claim
    found = _TEST.findall(named)
    assert found, f"{claim}: no test"
    assert _TEST.sub("", named).strip(" ,") == "", f"{claim}: something else than tests"
    for path, name in found:
        text = (_ROOT / path).read_text("utf-8")
        assert re.search(rf"^(?:async )?def {name or 'test_'}", text, re.MULTILINE), f"{path}::{name}"


def test_each_table_says_what_its_columns_are() -> None:
    assert len(_ROWS) > 20
    assert _PAGE.count("| claim | test |") == _PAGE.count("|---|---|")


def test_what_is_linked_is_there() -> None:
    security = (_ROOT / "SECURITY.md").read_text("utf-8")
    for page, text in (("", security), ("docs", _PAGE)):
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert (_ROOT / page / link).exists(), link
    assert "## What is kept" in _PAGE
