"""`uniassist --help` loads no command's module, so what it says of each is checked against the command itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from uniassist.cli.main import _PARTS, build_app
from uniassist.settings.known_services import SERVICES, KnownService

LISTED = [(name, meaning) for commands in _PARTS.values() for name, meaning in commands.items()]


@pytest.mark.parametrize(("name", "meaning"), LISTED, ids=[name for name, _ in LISTED])
def test_a_command_says_of_itself_what_the_list_says(name: str, meaning: str) -> None:
    own = get_command(build_app(name)).commands[name].help  # type: ignore[attr-defined]
    assert " ".join(own.strip("\b \n").split()).startswith(meaning.removesuffix(".")), own


def test_a_part_has_just_the_commands_that_the_list_names() -> None:
    for commands in _PARTS.values():
        assert sorted(get_command(build_app(next(iter(commands)))).commands) == sorted(commands)  # type: ignore[attr-defined]


def test_the_list_names_them_all_and_loads_none() -> None:
    shown = CliRunner().invoke(build_app(), ["--help"]).output
    assert [name for name, _ in LISTED if f"\n  {name} " not in shown] == []
    asked = "import sys; from uniassist.cli.main import build_app; build_app(); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_by_its_name_alone_loads_no_parser(service: KnownService) -> None:
    """pydantic comes with the first command that is parsed, and takes a third of a start."""
    asked = (
        f"import sys, {service.module} as app; from uniassist.cli import main; sys.argv = ['', {service.name!r}]; "
        "app.main = lambda: print('runs', 'pydantic' in sys.modules); main.main()"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "runs False"
