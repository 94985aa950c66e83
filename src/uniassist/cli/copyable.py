"""Commands that are suggested, with the options that were given: to be copied as they stand into the same shell."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from uniassist.cli.where import own_command

_ENV = ("--env", "--env-file")
_WHERE = (*_ENV, "--state-dir")
_HOW = ("--driver", "--driver-file")
_BY_DRIVER = frozenset(
    ["plan", "rollout", "rollback", "run", "resume", "abort", "status", "watch", "contract", "start", "stop"]
)
_ASKING = frozenset(["rollout", "rollback", "run", "resume", "abort", "contract", "start", "stop"])
# Commands of a running system, which find it by its env file, or by the directory that it runs or is released in.
_OF_A_SYSTEM = frozenset(["outbox", "db", "doctor", "status", "send", "timeline"])
_BY_URL = frozenset(["status", "send", "timeline"])
_SUGGESTED = re.compile(
    r"(?P<said>(?:\b(?:next|safe|or|then): (?:(?:git tag|git checkout|make) [^&;\n]*&& )*|^next {2,}))"
    r"uniassist (?P<command>(?P<name>[a-z]+)(?: (?P<verb>[a-z]+))?[^,;()\n]*)",
    re.MULTILINE,
)


def copyable(text: str, arguments: Sequence[str] | None = None) -> str:
    """`text` with the suggested commands completed; `arguments`: of the command that suggests, argv's."""
    given = _given(sys.argv[1:] if arguments is None else arguments)
    return _SUGGESTED.sub(lambda match: match["said"] + _completed(match, given), text)


def _completed(match: re.Match[str], given: Mapping[str, str]) -> str:
    command: str = match["command"]
    stripped = command.rstrip()
    accepted = _accepted(match["name"], match["verb"] or "")
    more = [given[option] for option in accepted if option in given]
    missing = [each for each in more if each.split()[0] not in stripped.split()]
    return " ".join([shlex.quote(own_command()), stripped, *missing]) + command[len(stripped) :]


def _accepted(name: str, verb: str) -> tuple[str, ...]:
    if name == "release":
        how = _HOW if verb in _BY_DRIVER else ()
        return (*_WHERE, *how, *(("--yes",) if verb in _ASKING else ()))
    if name == "drill":
        return _ENV
    if name not in _OF_A_SYSTEM:
        return ()
    return ("--env-file", "--state-dir", *(("--url",) if name in _BY_URL else ()))


def _given(arguments: Sequence[str]) -> dict[str, str]:
    """Options as they are to be written again."""
    found: dict[str, str] = {}
    for at, argument in enumerate(arguments):
        option, separator, value = argument.partition("=")
        if option in (*_WHERE, *_HOW, "--url"):
            value = value if separator else next(iter(arguments[at + 1 : at + 2]), "")
            found[option] = f"{option} {shlex.quote(value)}" if value else ""
        elif argument == "--yes":
            found[argument] = argument
    return {option: written for option, written in found.items() if written}
