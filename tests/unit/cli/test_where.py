"""How we are called from here, as a shell would find us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uniassist.cli.where import own_command

OWN = Path(sys.executable).parent


@pytest.mark.parametrize(("path", "by_name"), [(f"{OWN}:/usr/bin:/bin", True), ("/usr/bin:/bin", False)])
def test_the_command_that_we_print_is_found_by_the_shell_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, path: str, by_name: bool
) -> None:
    monkeypatch.setenv("PATH", path)
    assert (own_command() == "uniassist") is by_name
    done = subprocess.run(["bash", "-c", f"{own_command()} --help"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
