"""Every command that a line of ours names is one: its name and its options are taken as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uniassist.cli.main import build_app

SOURCE = Path(__file__).parents[3] / "src" / "uniassist"
_NAMED = re.compile(
    r"uniassist (?P<line>(?:release|drill|outbox|db|send|timeline|doctor|status|up|down|conformance|smoke)\b"
    r"[^\",;()\n\\`'|…]*)"
)
# Within a line: a table over many lines is no field, and what it says counts.
_FILLED_IN = re.compile(r"\{[^{}\n]*\}")


def named() -> list[str]:
    """In the source, docstrings included; what is filled in later stands for one word."""
    texts = [path.read_text() for path in sorted(SOURCE.rglob("*.py"))]
    lines = {match["line"] for text in texts for match in _NAMED.finditer(_FILLED_IN.sub("x", text))}
    cut = {line.strip().rstrip(".:").removesuffix(" --cause") for line in lines}
    return sorted(line for line in cut if not line.startswith("release x"))  # whichever verb it is


def test_there_are_many() -> None:
    assert len(named()) > 40


@pytest.mark.parametrize("line", named())
def test_it_is_taken_as_it_is_written(line: str) -> None:
    """With --help at its end, so that nothing is done; words after it that aren't its own do no harm."""
    arguments = line.split()
    ended = CliRunner().invoke(build_app(arguments[0]), [*arguments, "--help"])
    assert ended.exit_code == 0, ended.output
