"""What fired in the last watch of an environment: `<home>/environments/<name>/watch/trigger.json`.

The watch writes it, the rollback's incident note reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class FirstFailed(msgspec.Struct, rename="camel", frozen=True):
    """The first failed probe of a trigger.

    at: when, UTC.
    service: the service, or the check.
    asked: the URL, or what was checked.
    found: what came.
    """

    at: str
    service: str
    asked: str
    found: str


class Fired(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A trigger as the rollback and its incident note need it.

    kind: health, checks or rate.
    subject: the service, the checks or the rate.
    excerpts: lines of the watch's log.
    """

    kind: str
    subject: str
    reason: str
    triggered_at: str
    first_failed: FirstFailed
    evidence: tuple[str, ...] = ()
    excerpts: tuple[str, ...] = ()


def path_of(home: Path, environment: str) -> Path:
    """Where it lies; `home` is the directory of the records."""
    return watch_folder(home, environment) / "trigger.json"


def watch_folder(home: Path, environment: str) -> Path:
    """What a watch keeps, lies here."""
    return home.absolute() / "environments" / environment / "watch"


def read(path: Path) -> Fired | None:
    """None when nothing fired, or what is there can't be read: a rollback needs no reason."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Fired)
    except (OSError, msgspec.DecodeError):
        return None


def write_quickly(path: Path, value: msgspec.Struct) -> None:
    """Whole or not at all. Not synced: of what a watch writes, there is a newer one every two seconds."""
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(value)))
    temporary.replace(path)
