"""Every mutant fits the engine's text as it is now; what each does to a run is `make chaos-mutants`'s to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import mutants


@pytest.mark.parametrize("name", mutants.names())
def test_a_mutant_fits(name: str, tmp_path: Path) -> None:
    mutant = mutants.named(name)
    source = mutant.made_in(tmp_path)
    for change in mutant.changes:
        changed = (source / "uniassist" / change.file).read_text("utf-8")
        assert change.old not in changed
        assert change.new in changed


def test_a_change_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    unfit = mutants.Mutant("unfit", "", (mutants.Change("streams/begin.lua", "no such text", ""),))
    with pytest.raises(mutants.MutantDoesNotFit, match=r"streams/begin\.lua has 0"):
        unfit.made_in(tmp_path)
