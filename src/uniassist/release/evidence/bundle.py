"""A bundle on the disk: `<home>/evidence/<name>/`, its files and SHA256SUMS, as `sha256sum -c` reads it.

The sums cover every file but themselves; `damage` makes them anew and compares to the byte, so a flipped byte
anywhere is seen, in the sums, too. They don't stop a forger: the seal, kept in the ticket, does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uniassist.errors import StartError
from uniassist.release.durable_files import make_directory, sync_directory, write_whole

PAGE = "evidence.md"
DOCUMENT = "evidence.json"
SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def folder_of(directory: Path, name: str) -> Path:
    return directory / "evidence" / name


def write(folder: Path, files: Mapping[str, str]) -> str:
    """Replace the bundle; the one before stays until this one is whole. Returns its seal."""
    made = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    make_directory(made)
    for name, text in sorted(files.items()):
        write_whole(made / name, text)
    write_whole(made / SUMS, _sums(made))
    old = folder.with_name(f".{folder.name}.old")
    try:
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
        sync_directory(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StartError(f"{folder} can't be written: {error.strerror}") from None
    return seal(folder)


def seal(folder: Path) -> str:
    """The hash of the sums, and so of everything."""
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def damage(folder: Path) -> list[str]:
    """What isn't as it was built, file by file; empty when all is."""
    try:
        kept = (folder / SUMS).read_bytes()
    except OSError as error:
        return [f"{SUMS}: {error.strerror}"]
    found = _sums(folder)
    if kept == found.encode("utf-8", "surrogateescape"):
        return []
    was, is_now = _parsed(kept.decode("utf-8", "replace")), _parsed(found)
    said = [f"{name}: missing" for name in sorted(was.keys() - is_now.keys())]
    said += [f"{name}: added" for name in sorted(is_now.keys() - was.keys())]
    said += [f"{name}: changed" for name in sorted(was.keys() & is_now.keys()) if was[name] != is_now[name]]
    return said or [f"{SUMS}: changed"]


def read(folder: Path) -> dict[str, Any]:
    """evidence.json; StartError when it can't be read."""
    path = folder / DOCUMENT
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} can't be read: {error}") from None


def _sums(folder: Path) -> str:
    """A line for everything that lies there, but the sums; what is no plain file has no hash of one."""
    lines = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name == SUMS and path.is_file() and not path.is_symlink():
            continue
        is_plain = path.is_file() and not path.is_symlink()
        content = path.read_bytes() if is_plain else b"no plain file"
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return "".join(lines)


def _parsed(sums: str) -> dict[str, str]:
    return {match[2]: match[1] for line in sums.split("\n") if (match := _LINE.fullmatch(line))}
