"""Seeded bugs of the engine's own fencing and settling, each a file `<name>.toml` here; the run has to notice each.

A file says `why` the mutant is wrong, and holds `[[change]]` tables: the `file` below the package, the text `old`,
which is there exactly once, and the `new` one. A change that doesn't fit any more is an error: a mutant that was
not made is not noticed either.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import uniassist

_HERE = files("tests.chaos.mutants")


class MutantDoesNotFit(Exception):
    """The engine's text isn't what the mutant changes."""


@dataclass(frozen=True)
class Change:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    why: str
    changes: tuple[Change, ...]

    def made_in(self, directory: Path) -> Path:
        """A copy of the package with the changes, below `directory`; returns what goes on the path."""
        assert uniassist.__file__ is not None, "a package with a file"
        source = directory / f"source-{self.name}"
        ours = Path(uniassist.__file__).parent
        shutil.copytree(ours, source / "uniassist", ignore=shutil.ignore_patterns("__pycache__"))
        for change in self.changes:
            path = source / "uniassist" / change.file
            text = path.read_text("utf-8")
            if text.count(change.old) != 1:
                raise MutantDoesNotFit(f"{self.name}: {change.file} has {text.count(change.old)} × {change.old!r}")
            path.write_text(text.replace(change.old, change.new), "utf-8")
        return source


def names() -> list[str]:
    return sorted(path.name.removesuffix(".toml") for path in _HERE.iterdir() if path.name.endswith(".toml"))


def named(name: str) -> Mutant:
    """KeyError for a name that isn't one of `names`."""
    if name not in names():
        raise KeyError(name)
    read = tomllib.loads(_HERE.joinpath(f"{name}.toml").read_text("utf-8"))
    return Mutant(name, read["why"], tuple(Change(**change) for change in read["change"]))
