"""A new provider's project: a folder with a provider that answers, its tests, and a providers file with it."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from uniassist.errors import StartError

_ID = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FILES = ("provider.py", "test_provider.py", "pytest.ini", "README.md")


def entry(provider_id: str, port: int) -> str:
    """What a providers file says of it."""
    return _filled("entry.toml", provider_id, port)


def create(directory: Path, provider_id: str, port: int, *, known: str) -> list[Path]:
    """Make the folder and its files; these. StartError for a name that no provider may have, and where it can't.

    `known`: the providers file that the new one's goes on from.
    """
    if _ID.fullmatch(provider_id) is None:
        raise StartError(
            f"NAME: expected lower-case letters, digits, _ and -, a letter first, at most 64; got {provider_id!r}"
        )
    if re.search(rf'^id = "{re.escape(provider_id)}"', known, re.MULTILINE):
        raise StartError(f"NAME: {provider_id} is in the providers file already; expected another")
    written = {name: _filled(name, provider_id, port) for name in _FILES}
    written["providers.toml"] = f"{known.rstrip()}\n\n{entry(provider_id, port)}"
    made = []
    try:
        directory.mkdir(parents=True)
        for name, text in written.items():
            path = directory / name
            path.write_text(text, encoding="utf-8")
            made.append(path)
    except OSError as error:
        raise StartError(f"--directory: can't make {directory}: {error.strerror}") from None
    return made


def _filled(name: str, provider_id: str, port: int) -> str:
    template = (files(__package__) / f"{name}.example").read_text(encoding="utf-8")
    word = re.sub(r"[^a-z0-9]", "_", provider_id)
    return Template(template).substitute(
        id=provider_id,
        name=re.sub(r"[-_]+", " ", provider_id).capitalize(),
        variable=f"{word}_provider",
        upper=word.upper(),
        port=port,
    )
