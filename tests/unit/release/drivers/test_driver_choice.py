"""`--driver` and `--driver-file`: which driver it is, and what is said of a choice that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniassist.errors import SettingsError
from uniassist.release.drivers.choose import choose
from uniassist.release.drivers.driver import Driver

FILE = "".join(f"[{verb}]\nrun = 'true'\n" for verb in ("deploy", "stop", "observe", "revert"))


def chosen(name: str, home: Path, file: Path | None = None) -> Driver:
    return choose(name, home=home, urls={}, say=lambda _line: None, mask=str, file=file)


def test_each_name_is_its_driver(tmp_path: Path) -> None:
    file = tmp_path / "driver.toml"
    file.write_text(FILE)
    assert chosen("local", tmp_path).name == "local"
    assert chosen("manual", tmp_path).name == "manual"
    assert chosen("exec", tmp_path, file).name == "exec"


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("docker", None, "--driver: expected one of local, exec, manual, got 'docker'"),
        ("exec", None, "--driver-file: --driver exec needs it"),
        ("local", Path("x"), "--driver-file: --driver local reads none"),
        ("exec", Path("/nowhere/x.toml"), "--driver-file: can't read /nowhere/x.toml: No such file"),
    ],
)
def test_a_choice_that_cant_be_is_said(tmp_path: Path, name: str, file: Path | None, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        chosen(name, tmp_path, file)
    assert said in str(refused.value)
