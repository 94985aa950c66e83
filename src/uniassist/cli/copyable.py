"""Commands that are suggested, with the options that were given: to be copied as they stand."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence

_WHERE = ("--env", "--env-file", "--state-dir")
_HOW = ("--driver", "--driver-file")
_BY_DRIVER = frozenset(["plan", "rollout", "rollback", "run", "resume", "abort", "status", "watch", "contract"])
_SUGGESTED = re.compile(r"\b(?P<said>(?:next|safe): )(?P<command>uniassist release (?P<name>[a-z]+)[^,;(\n]*)")


def copyable(text: str, arguments: Sequence[str] | None = None) -> str:
    """`text` with the suggested release commands completed; `arguments`: of the command that suggests, argv's."""
    given = _given(sys.argv[1:] if arguments is None else arguments)
    return _SUGGESTED.sub(lambda match: match["said"] + _completed(match["command"], match["name"], given), text)


def _completed(command: str, name: str, given: Mapping[str, str]) -> str:
    accepted = (*_WHERE, *_HOW) if name in _BY_DRIVER else _WHERE
    more = [f"{option} {shlex.quote(given[option])}" for option in accepted if option in given]
    stripped = command.rstrip()
    missing = [each for each in more if each.split()[0] not in stripped.split()]
    return " ".join([stripped, *missing]) + command[len(stripped) :]


def _given(arguments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, argument in enumerate(arguments):
        option, separator, value = argument.partition("=")
        if option in (*_WHERE, *_HOW):
            found[option] = value if separator else next(iter(arguments[at + 1 : at + 2]), "")
    return {option: value for option, value in found.items() if value}
