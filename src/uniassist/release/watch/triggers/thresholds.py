"""The file of agreed thresholds: the value, who agreed, when and why. Read strictly: a typo is no default."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from uniassist.errors import SettingsError

NAMES = ("dead_letter", "retry")
_KEYS = {"per_minute", "window_minutes", "agreed_by", "agreed_on", "reason"}


@dataclass(frozen=True)
class Threshold:
    """`per_minute` over the baseline, as the mean over `window_seconds`."""

    per_minute: float
    window_seconds: float
    agreed_by: str
    agreed_on: date
    reason: str


def read(path: Path) -> dict[str, Threshold]:
    """By name, NAMES all of them. SettingsError names the file, the table and the key, and what was expected."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}; it holds the agreed thresholds") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: expected TOML: {error}") from None
    if unknown := set(found) - set(NAMES):
        raise SettingsError(f"{path}: {', '.join(sorted(unknown))}: unknown; expected {' and '.join(NAMES)}")
    return {name: _threshold(path, name, found.get(name)) for name in NAMES}


def _threshold(path: Path, name: str, table: Any) -> Threshold:
    where = f"{path}: [{name}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: missing; expected a table with {', '.join(sorted(_KEYS))}")
    for what, keys in (("missing", _KEYS - set(table)), ("unknown", set(table) - _KEYS)):
        if keys:
            raise SettingsError(f"{where} {', '.join(sorted(keys))}: {what}")
    for key in ("agreed_by", "reason"):
        if not isinstance(table[key], str) or not table[key].strip():
            raise SettingsError(f"{where} {key}: expected some text, got {table[key]!r}")
    if type(table["agreed_on"]) is not date:
        raise SettingsError(f"{where} agreed_on: expected a date such as 2026-11-24, got {table['agreed_on']!r}")
    return Threshold(
        per_minute=_number(where, table, "per_minute", 0.0, 1_000_000.0),
        window_seconds=60 * _number(where, table, "window_minutes", 0.5, 60.0),
        agreed_by=table["agreed_by"].strip(),
        agreed_on=table["agreed_on"],
        reason=table["reason"].strip(),
    )


def _number(where: str, table: dict[str, Any], key: str, low: float, high: float) -> float:
    value = table[key]
    if type(value) not in (int, float) or not low <= value <= high:  # a bool is an int, and nan is nowhere
        raise SettingsError(f"{where} {key}: expected a number from {low:g} to {high:g}, got {value!r}")
    return float(value)
