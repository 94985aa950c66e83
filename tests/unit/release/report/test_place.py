from __future__ import annotations

import os
from pathlib import Path

import pytest

from uniassist.release.report.place import place


def test_below_the_working_directory_it_is_short_and_elsewhere_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path.cwd() / ".uniassist" / "release" / "runs" / "x.log"
    assert place(here) == ".uniassist/release/runs/x.log"
    assert Path(place(here)).absolute() == here
    assert place(Path("/var/log/x.log")) == "/var/log/x.log"


def test_a_working_directory_that_is_gone_takes_no_words_away(tmp_path: Path) -> None:
    before, gone = Path.cwd(), tmp_path / "gone"
    gone.mkdir()
    try:
        os.chdir(gone)
        gone.rmdir()
        assert place(Path("/var/log/x.log")) == "/var/log/x.log"
    finally:
        os.chdir(before)
