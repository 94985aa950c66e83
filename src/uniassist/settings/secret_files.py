"""Secrets from files: NAME_FILE is the path of a file that holds the value of NAME, as orchestrators mount them.

All that is secret can come so: what the table of variables marks, and every token that a providers file may name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from uniassist.errors import SettingsError
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES

SUFFIX = "_FILE"
LARGEST_BYTES = 65_536  # a chain of PEM keys is a tenth of it


def file_variable(name: str) -> str:
    return f"{name}{SUFFIX}"


def is_secret(name: str) -> bool:
    """Whether the variable may come from a file."""
    if name in VARIABLES:
        return VARIABLES[name].secret
    return name.startswith(PROVIDER_TOKEN_PREFIX) and not name.endswith(SUFFIX)


def secret_of(variable: str) -> str | None:
    """The secret whose file the variable names; None: it names no secret's file."""
    name = variable.removesuffix(SUFFIX)
    return name if name != variable and variable not in VARIABLES and is_secret(name) else None


def value_of(environ: Mapping[str, str], name: str) -> str:
    """The secret itself or its file's content, without the line end after it; empty: neither is given.

    SettingsError names NAME_FILE, the file and what is wrong with it, and nothing of what is in it.
    """
    value = environ.get(name, "").strip()
    variable = file_variable(name)
    path = environ.get(variable, "").strip()
    if not path:
        return value
    if value:
        raise SettingsError(f"{name} and {variable} are both given; expected one of them")
    return _content(variable, Path(path))


def with_files_read(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with each secret in the place of its file.

    What can't be read stays as it was given: whoever needs the secret says so, as `value_of` does.
    """
    found = dict(environ)
    for name in _given(environ):
        try:
            found[name] = value_of(environ, name)
        except SettingsError:
            continue
        del found[file_variable(name)]
    return found


def take_in(environ: MutableMapping[str, str]) -> None:
    """The same in place, once and before anybody looks: what is masked, or read by a library, is the secret."""
    read = with_files_read(environ)
    for variable in environ.keys() - read.keys():
        del environ[variable]
    environ.update(read)


def laid_over(base: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """Both, of which `over` wins, whether it says a secret or its file."""
    names = {*over, *(file_variable(name) for name in over), *(secret_of(name) for name in over)}
    return {**{name: value for name, value in base.items() if name not in names}, **over}


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    """By secret: what is wrong with its file."""
    found = {}
    for name in _given(environ):
        try:
            value_of(environ, name)
        except SettingsError as error:
            found[name] = str(error)
    return found


def provider_tokens(environ: Mapping[str, str]) -> dict[str, str]:
    """Of a providers file, by variable, from wherever they come. SettingsError, as of `value_of`."""
    names = [secret_of(name) or name for name in environ]
    return {name: value_of(environ, name) for name in names if name.startswith(PROVIDER_TOKEN_PREFIX)}


def _given(environ: Mapping[str, str]) -> Iterator[str]:
    for variable, path in environ.items():
        name = secret_of(variable)
        if name is not None and path.strip():
            yield name


def _content(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        said = (error.strerror if isinstance(error, OSError) else None) or "it is no path"
        raise SettingsError(f"{variable}: can't read {path}: {said}") from None
    if len(content) > LARGEST_BYTES:
        raise SettingsError(f"{variable}: {path} is larger than {LARGEST_BYTES} bytes; expected the secret alone")
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} isn't UTF-8; expected the secret as text") from None
    if "\0" in text:
        raise SettingsError(f"{variable}: {path} has a NUL in it; expected the secret as text")
    if not text.strip():
        raise SettingsError(f"{variable}: {path} is empty; expected the secret in it")
    return text
