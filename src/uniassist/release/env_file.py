"""Files of environment variables, in the part of the shell's language that means the same everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from uniassist.errors import SettingsError

_ENTRY = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=
        (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\$`]|\\.)*)" | (?P<bare>[^\s'"\\$`;&|<>()\#]*) )
        [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"[ \t]*(?:\#[^\n]*)?(?:\n|\Z)")
# Names of the tool's own doing, not of the system that is deployed.
_NOT_DEPLOYED = ("STAGING_", "WORKER_DRILL_", "UNIASSIST_REVISION", "UNIASSIST_INSTANCE", "UNIASSIST_ENV_DIGEST")


def read_env_file(path: Path) -> dict[str, str]:
    """SettingsError that names the line, never its value: it may be a secret."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8"
        raise SettingsError(f"--env-file: can't read {path}: {reason}") from None
    found: dict[str, str] = {}
    at = 0
    while at < len(text):  # ends: each turn moves on by at least a line's end
        if nothing := _NOTHING.match(text, at):
            at = nothing.end()
            continue
        number = text.count("\n", 0, at) + 1
        entry = _ENTRY.match(text, at)
        if entry is None:
            raise SettingsError(f"{path}, line {number}: expected NAME='value', without substitutions")
        if entry["name"] in found:
            raise SettingsError(f"{path}, line {number}: {entry['name']} is set a second time")
        double = re.sub(r"\\([\\\"$`])", r"\1", entry["double"]) if entry["double"] is not None else None
        found[entry["name"]] = entry["single"] or double or entry["bare"] or ""
        at = entry.end()
    return found


def written(values: Mapping[str, str]) -> str:
    """A file that `read_env_file` and a shell read back as just these values."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items()))


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r"([\\\"$`])", r"\\\1", value) + '"'


def is_deployed(name: str) -> bool:
    return not name.startswith(_NOT_DEPLOYED)


def digest(values: Mapping[str, str], names: Mapping[str, object]) -> str:
    """Of the deployed variables among `names` that have a value; tells two env sets apart, and nothing more."""
    kept = sorted((name, values[name]) for name in names if values.get(name, "").strip() and is_deployed(name))
    text = "".join(f"{name}={value}\0" for name, value in kept)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
