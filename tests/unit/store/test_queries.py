"""Named parameters become the driver's numbers, and nothing else of a statement changes."""

from __future__ import annotations

import pytest

from uniassist.store.queries import Statement, parsed


def translated(sql: str) -> Statement:
    return parsed(f"-- name: it\n{sql};\n", where="any.sql")["it"]


def test_a_name_has_one_number_however_often_it_is_used() -> None:
    found = translated("SELECT :second, :first FROM t WHERE a = :second AND b = :first_of_all")
    assert found.sql == "SELECT $1, $2 FROM t WHERE a = $1 AND b = $3"
    assert found.parameters == ("second", "first", "first_of_all")
    assert found(first=1, second=2, first_of_all=3) == (found.sql, 2, 1, 3)


@pytest.mark.parametrize(
    "kept",
    [
        "now()::timestamptz",
        "'12:30:mm'",
        "'it''s :not_one'",
        '"a:name"',
        "-- of :nobody, it's said\n1",
        "/* :none\n   either: */ 1",
        "'-- :literal' || '/* :too */'",
    ],
)
def test_colons_that_begin_no_parameter_stay(kept: str) -> None:
    found = translated(f"SELECT {kept}, :one::text")
    assert found.sql == f"SELECT {kept}, $1::text"
    assert found.parameters == ("one",)


def test_a_call_names_what_is_missing_and_what_nobody_asked_for() -> None:
    found = translated("SELECT :one, :two")
    with pytest.raises(TypeError, match=r"it: missing \['two'\], unknown \['three'\]"):
        found(one=1, three=3)


def test_names_and_numbers_in_one_statement_are_refused() -> None:
    with pytest.raises(ValueError, match="it: parameters have names"):
        translated("SELECT :one, $2")
