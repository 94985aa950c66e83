"""What is suggested can be copied: it goes to the same environment, with the same driver."""

from __future__ import annotations

import pytest

from uniassist.cli.copyable import copyable

GIVEN = ["release", "rollout", "--rev", "v2", "--env-file", "my env", "--driver=exec", "--driver-file", "d.toml"]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            "      next: uniassist release rollback",
            "      next: uniassist release rollback --env-file 'my env' --driver exec --driver-file d.toml",
        ),
        (
            "next: uniassist release gate --rev v2\n      safe: nothing deployed; all stays",
            "next: uniassist release gate --rev v2 --env-file 'my env'\n      safe: nothing deployed; all stays",
        ),
        (
            "safe: uniassist release abort, then: wait",
            "safe: uniassist release abort --env-file 'my env' --driver exec --driver-file d.toml, then: wait",
        ),
        (
            "next: uniassist release resume --driver exec (or not)",
            "next: uniassist release resume --driver exec --env-file 'my env' --driver-file d.toml (or not)",
        ),
        ("next: uniassist db migrate", "next: uniassist db migrate"),
        ("gateway v1 → v2 healthy", "gateway v1 → v2 healthy"),
    ],
)
def test_options_that_were_given_are_repeated_where_they_are_taken(said: str, wanted: str) -> None:
    assert copyable(said, GIVEN) == wanted


def test_nothing_is_added_when_nothing_was_given() -> None:
    assert (
        copyable("next: uniassist release rollback", ["release", "rollout"]) == "next: uniassist release rollback"
    )
