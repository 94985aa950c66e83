"""A checkout of a project small enough to be built and checked in a moment."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from uniassist.release.revision import git, wheel
from uniassist.store import migrate

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "uniassist"
version = "1"
[tool.setuptools.packages.find]
where = ["src"]
[tool.setuptools.package-data]
uniassist = ["**/*.txt"]
[tool.mypy]
files = ["src"]
"""
# Says that it did what it was asked, and fails on what the file `broken` names.
_MAIN = """\
import pathlib
import sys

broken = (pathlib.Path(__file__).parent / "broken.txt").read_text().split()
if sys.argv[1] in broken:
    print(f"FAILED   {sys.argv[1]} found something")
    sys.exit(1)
print(f"{sys.argv[1]}: 1 ok, 0 failed")
"""
VERSIONS = "src/uniassist/store/migrations/versions"
# What the tests' databases are at: our own newest migration, and what would come after it.
SCHEMA = migrate.head_revision()
NEXT_SCHEMA = f"{int(SCHEMA) + 1:04}"
_EXPAND = 'revision = "0001"\ndown_revision = None\nkind = "expand"\n'

_wheels: dict[str, str] = {}


@dataclass(frozen=True)
class Repository:
    path: Path

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")
        command = ["git", *identity, "-C", str(self.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def wheel_sha256(self, commit: str) -> str:
        """Of its wheel, which is the same for the same content, and so is built once in all tests."""
        tree = self.git("rev-parse", f"{commit}^{{tree}}")
        if tree not in _wheels:
            with tempfile.TemporaryDirectory() as name:
                export, into = Path(name) / "export", Path(name) / "wheel"
                git.export(self.path, commit, export)
                into.mkdir()
                _wheels[tree] = wheel.sha256(asyncio.run(wheel.build(export, into, wheel.HERE)))
        return _wheels[tree]

    def commit(self, tag: str | None = None) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a change")
        if tag is not None:
            self.git("tag", "-a", tag, "-m", tag)
        return self.git("rev-parse", "HEAD")


def repository(path: Path) -> Repository:
    """With one commit, not tagged."""
    made = Repository(path)
    path.mkdir(parents=True, exist_ok=True)
    made.git("init", "-q")
    made.write(".gitignore", ".uniassist/\nbuild/\n*.egg-info/\n__pycache__/\n")
    made.write("pyproject.toml", _PYPROJECT)
    made.write("src/uniassist/__init__.py", "")
    made.write("src/uniassist/cli/__init__.py", "")
    made.write("src/uniassist/cli/main.py", _MAIN)
    made.write("src/uniassist/cli/broken.txt", "nothing")
    made.write(f"{VERSIONS}/0001_first.py", _EXPAND)
    made.commit()
    return made
