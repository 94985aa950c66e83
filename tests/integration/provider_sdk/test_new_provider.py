"""`uniassist provider new`: what it makes passes its own tests, and answers through a gateway."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uniassist.cli.main import build_app


def new(*arguments: str) -> str:
    done = CliRunner().invoke(build_app("provider"), ["provider", "new", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_a_new_project_says_how_it_is_run_and_passes_its_own_tests(tmp_path: Path) -> None:
    folder = tmp_path / "night-trains"
    shown = new("night-trains", "--directory", str(folder), "--port", "9477")
    assert f"{sys.executable} {folder}/provider.py" in shown
    assert f"UNIASSIST_PROVIDERS_FILE={folder}/providers.toml" in shown
    entries = tomllib.loads((folder / "providers.toml").read_text())["provider"]
    assert [each["id"] for each in entries] == ["plan", "work", "reminder", "night-trains"]
    assert tomllib.loads(shown[shown.index("[[provider]]") :])["provider"] == [entries[-1]]
    command = [sys.executable, "-m", "pytest", "-q", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "named"), [("Not so", "NAME: expected lower-case"), ("plan", "NAME: plan is in the providers file")]
)
def test_a_name_that_no_provider_may_have_is_refused(tmp_path: Path, name: str, named: str) -> None:
    done = CliRunner().invoke(build_app("provider"), ["provider", "new", name, "--directory", str(tmp_path / "x")])
    assert named in str(done.exception)
    assert not (tmp_path / "x").exists()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app("provider"), ["provider", "new", "trains", "--directory", str(tmp_path)])
    assert "--directory: can't make" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
