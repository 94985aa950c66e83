"""Renders ops/deploy/staging/env.example: `python -m uniassist.settings.example [--check] FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from uniassist.settings.variable import Variable
from uniassist.settings.variables import GROUPS

_HEAD = """\
# UniAssist, staging. Copy this file, replace what is marked, and load it:
#   set -a; . ./staging.env; set +a
# required: staging won't start without it. optional: the value shown is the default.
# secret: never printed, logged or put into evidence; shown masked. Each may come as NAME_FILE instead: the path
#   of a file with the value in it, such as DATABASE_URL_FILE=/run/secrets/database-url.
"""


# As the runbook's own commands name them: a drill compares its group with the worker's.
_STAGING = {"UNIASSIST_ENV": "staging", "UNIASSIST_STREAM_GROUP": "ua-delivery-staging"}


def render() -> str:
    """The file as text; a shell can source it."""
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(f"\n# --- {group.title}\n")
        parts.extend(_entry(variable) for variable in group.variables)
    return "".join(parts)


def _entry(variable: Variable) -> str:
    marks = variable.need + (", secret" if variable.secret else "")
    hint = "" if variable.kind in ("text", "list", "url") else f" Expected: {variable.expected()}."
    lines = f"# {variable.meaning}{hint} [{marks}]\n"
    if variable.name in _STAGING:
        return f"{lines}{variable.name}={_STAGING[variable.name]}\n"
    if variable.need == "required":
        value = variable.example or variable.default or "change-me"
        return f"{lines}{variable.name}='{value}'\n"
    return f"{lines}# {variable.name}='{variable.default or ''}'\n"


def main(arguments: list[str]) -> int:
    check, path = arguments[:1] == ["--check"], Path(arguments[-1])
    if not check:
        path.write_text(render(), "utf-8")
        return 0
    if path.read_text("utf-8") == render():
        return 0
    sys.stderr.write(f"{path.name} is not what the settings say: run `make env-example`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
