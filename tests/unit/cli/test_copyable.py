"""What is suggested can be copied: it goes to the same environment, with the same driver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uniassist.cli.copyable import copyable


@pytest.fixture(autouse=True)
def active(monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual environment, as an operator has it."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


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
        ("next: uniassist db migrate", "next: uniassist db migrate --env-file 'my env'"),
        (
            "next: uniassist send hello --url http://x",
            "next: uniassist send hello --url http://x --env-file 'my env'",
        ),
        ("next: uniassist outbox stats", "next: uniassist outbox stats --env-file 'my env'"),
        (
            "next        uniassist release resume     (safe: uniassist release rollback)",
            "next        uniassist release resume --env-file 'my env' --driver exec --driver-file d.toml     "
            "(safe: uniassist release rollback --env-file 'my env' --driver exec --driver-file d.toml)",
        ),
        (
            "next: git checkout v2 && uniassist drill worker --mode simulate",
            "next: git checkout v2 && uniassist drill worker --mode simulate --env-file 'my env'",
        ),
        ("gateway v1 → v2 healthy", "gateway v1 → v2 healthy"),
    ],
)
def test_options_that_were_given_are_repeated_where_they_are_taken(said: str, wanted: str) -> None:
    assert copyable(said, GIVEN) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["send", "hi", "--state-dir", "here"], "uniassist timeline s --follow --state-dir here"),
        (["send", "hi", "--url=http://x"], "uniassist timeline s --follow --url http://x"),
        (["send", "hi", "--app-token", "secret"], "uniassist timeline s --follow"),
    ],
)
def test_a_system_that_was_named_is_named_again(given: list[str], wanted: str) -> None:
    assert copyable("next: uniassist timeline s --follow", given) == f"next: {wanted}"


def test_consent_that_was_given_is_given_again_where_it_is_asked() -> None:
    given = ["release", "rollout", "--yes"]
    assert copyable("next: uniassist release rollback", given) == "next: uniassist release rollback --yes"
    assert copyable("next: uniassist release verify", given) == "next: uniassist release verify"


def test_where_the_name_leads_to_nothing_the_path_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = copyable("next: uniassist release status", []).split()
    assert (Path(said[1]).name, said[1] != "uniassist") == ("uniassist", True)


def test_nothing_is_added_when_nothing_was_given() -> None:
    assert (
        copyable("next: uniassist release rollback", ["release", "rollout"]) == "next: uniassist release rollback"
    )
