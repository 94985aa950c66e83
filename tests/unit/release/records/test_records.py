from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.errors import StartError
from uniassist.release.exit_codes import MEANINGS, ExitCode
from uniassist.release.records.records import Records


def test_a_tag_keeps_the_commit_that_it_was_first_seen_at(tmp_path: Path) -> None:
    records = Records(tmp_path / "state")
    assert records.pin("v1", "aaa") == "aaa"
    assert records.pin("v2", "bbb") == "bbb"
    assert records.pin("v1", "ccc") == "aaa"


def test_what_is_known_of_a_commit_adds_up(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.know("aaa", gate={"at": "1"})
    records.know("aaa", verify={"at": "2"})
    assert records.of_commit("aaa") == {"gate": {"at": "1"}, "verify": {"at": "2"}}
    assert records.of_commit("bbb") == {}


def test_one_rolls_back_to_what_was_verified_last_but_for_the_revision_itself(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.last_verified(besides="new") is None
    records.know("gated", gate={"at": "9"})
    for commit, at in (("old", "2"), ("older", "1"), ("new", "3")):
        records.know(commit, verify={"at": at})
    assert records.last_verified(besides="new") == "old"
    assert records.last_verified(besides="old") == "new"


def test_records_are_for_their_owner_only(tmp_path: Path) -> None:
    path = Records(tmp_path / "state").keep_run("verify", {"a": 1}, ["line"])
    assert path.read_text() == "line\n"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_damaged_record_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "pins.json").write_text("{")
    with pytest.raises(StartError, match=r"pins\.json can't be read"):
        Records(tmp_path).pin("v1", "aaa")


def test_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "BUG": 1,
        "USAGE": 2,
        "PREFLIGHT": 10,
        "GATE": 11,
        "ROLLOUT": 12,
        "VERIFY": 13,
        "ROLLED_BACK": 20,
        "ROLLBACK_INCOMPLETE": 21,
        "TRIGGER_HELD": 22,
        "LOCKED": 30,
        "UNFINISHED": 31,
        "STALE": 32,
        "DRILL": 40,
        "INCONCLUSIVE": 41,
        "INTERRUPTED": 130,
    }
    assert set(MEANINGS) == set(ExitCode)
