"""What `make test` does after a red run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import again

UNSTEADY = """
from pathlib import Path

def test_it():
    tries = Path("tries")
    tries.write_text(tries.read_text() + "." if tries.exists() else ".")
    assert len(tries.read_text()) not in {failing}
"""


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where `test_it.py` failed, once it is written."""
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text(json.dumps({"test_it.py::test_it": True}), "utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take most of what such a run takes
    return tmp_path


@pytest.mark.parametrize(
    ("failing", "code"), [("()", 0), ("(2,)", 1)], ids=["passes twice", "fails the second time"]
)
def test_a_test_has_to_pass_twice_alone(
    failed: Path, capsys: pytest.CaptureFixture[str], failing: str, code: int
) -> None:
    (failed / "test_it.py").write_text(UNSTEADY.format(failing=failing), "utf-8")
    assert again.main(["1", "-q", "-o", "addopts=", "-p", "xdist.plugin"]) == code
    assert ("UNSTEADY" in capsys.readouterr().out) is (code == 0)


def test_many_failures_are_no_matter_of_steadiness(failed: Path) -> None:
    names = {f"test_it.py::test_{n}": True for n in range(again.AT_MOST + 1)}
    (failed / ".pytest_cache/v/cache/lastfailed").write_text(json.dumps(names), "utf-8")
    assert again.main(["1"]) == 1


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_an_interrupted_or_broken_run_stays_red(failed: Path, code: int) -> None:
    (failed / "test_it.py").write_text("def test_it(): pass", "utf-8")
    assert again.main([str(code)]) == code
