"""Files of environment variables, in the part of the shell's language that means the same everywhere."""

from __future__ import annotations

import codecs
import hashlib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from uniassist import terminal
from uniassist.errors import SettingsError
from uniassist.settings.masking import masker_of
from uniassist.settings.secret_files import with_files_read

_ENTRY = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=
        (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\$`]|\\.)*)" | (?P<bare>[^\s'"\\$`;&|<>()\#]*) )
        [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_BEGINNING = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=")
_NOTHING = re.compile(r"[ \t]*(?:\#[^\n]*)?(?:\n|\Z)")
# Names of the tool's own doing, not of the system that is deployed.
_NOT_DEPLOYED = ("STAGING_", "WORKER_DRILL_", "UNIASSIST_REVISION", "UNIASSIST_INSTANCE", "UNIASSIST_ENV_DIGEST")


def read_env_file(path: Path) -> dict[str, str]:
    """SettingsError that names the line, never its value: it may be a secret. They are masked from then on.

    A secret that the file names by NAME_FILE is read here: what is kept, handed on and told apart is its value.
    """
    text = _text(path)
    found: dict[str, str] = {}
    at = 0
    while at < len(text):  # ends: each turn moves on by at least a line's end
        if nothing := _NOTHING.match(text, at):
            at = nothing.end()
            continue
        number = text.count("\n", 0, at) + 1
        entry = _ENTRY.match(text, at)
        if entry is None:
            line = text[at:].partition("\n")[0]
            raise SettingsError(f"{path}, line {number}: expected NAME='value', without substitutions{_hint(line)}")
        if entry["name"] in found:
            raise SettingsError(f"{path}, line {number}: {entry['name']} is set a second time")
        double = re.sub(r"\\([\\\"$`])", r"\1", entry["double"]) if entry["double"] is not None else None
        found[entry["name"]] = entry["single"] or double or entry["bare"] or ""
        at = entry.end()
    found = with_files_read(found)
    terminal.hide(masker_of(found))
    return found


def _text(path: Path) -> str:
    """SettingsError for what a shell would read differently, with the command that mends it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--env-file: can't read {path}: {error.strerror}") from None
    quoted = shlex.quote(str(path))
    if content.startswith(codecs.BOM_UTF8):
        raise SettingsError(
            f"{path} begins with a byte order mark, which a shell takes for a part of the first name; "
            f"remove it: tail -c +4 {quoted} > {quoted}.new && mv {quoted}.new {quoted}"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"--env-file: can't read {path}: it isn't UTF-8; save it as UTF-8") from None
    if "\r\n" in text:
        raise SettingsError(
            f"{path} has the line ends of Windows, which a shell takes for a part of the values; "
            f"remove them: tr -d '\\r' < {quoted} > {quoted}.new && mv {quoted}.new {quoted}"
        )
    return text


def _hint(line: str) -> str:
    """What to do about a line that can't be read, without its value: that may be a secret."""
    found = _BEGINNING.match(line)
    if found is None:
        return "; there is no NAME= in it"
    value, name = line[found.end() :], found["name"]
    if value[:1] in ("'", '"') and value.count(value[0]) % 2:
        return f"; the quote that begins the value of {name} isn't closed"
    if value[:1] in ("'", '"'):
        return f'; a quote within the value of {name} ends it: use double quotes, with a backslash before " and $'
    return f"; put the value of {name} into single quotes"


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
