"""DATABASE_URL on this host: what `settings` makes of it, once the files that it names have been looked at."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from uniassist.settings.postgres_url import PostgresUrl
from uniassist.settings.postgres_url import parsed as as_text
from uniassist.settings.tls_files import TlsFiles

_USERS_ROOTS = ".postgresql/root.crt"
_FILES = TlsFiles("DATABASE_URL")


def parsed(url: str) -> PostgresUrl:
    """SettingsError names the parameter that can't be had, or its file and what is wrong with it."""
    found = as_text(url)
    if found.parameters.get("sslrootcert") == "system":
        found = found.with_parameter("sslrootcert", _roots_of_system())
    _check_roots(found)
    said = found.parameters
    for name in ("sslrootcert", "sslcrl"):
        if name in said:
            _FILES.check_trusted(name, said[name])
    if "sslcert" in said:
        _FILES.check_own(("sslcert", "sslkey"), said["sslcert"], said.get("sslkey"), said.get("sslpassword"))
    if "sslkey" in said:
        _FILES.check_private("sslkey", said["sslkey"])
    return found


def _roots_of_system() -> str:
    """As a file, which both drivers can read."""
    path = ssl.get_default_verify_paths().cafile
    if path is None:
        raise _FILES.wrong("sslrootcert=system: this host has no file of them where Python looks; name one")
    return path


def _check_roots(url: PostgresUrl) -> None:
    named = url.parameters.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if url.is_verifying and not named and not (Path.home() / _USERS_ROOTS).exists():
        mode = url.parameters["sslmode"]
        raise _FILES.wrong(f"sslmode={mode} needs sslrootcert, the file of the roots to verify by, or system")
