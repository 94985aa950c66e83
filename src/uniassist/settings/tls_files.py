"""The files of certificates that a URL names, looked at before anybody connects with them.

The drivers read them at each connecting, and would call one that is missing an outage.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from uniassist.errors import SettingsError


@dataclass(frozen=True)
class TlsFiles:
    """`variable`: the one that has the URL. SettingsError names it, the parameter, the file and what is wrong."""

    variable: str

    def check_trusted(self, name: str, path: str) -> None:
        """Certificates of an authority, or a list of what it revoked."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        except ssl.SSLError:
            raise self.wrong(f"{name}: {path} holds no certificate in PEM") from None
        except OSError as error:
            raise self._unreadable(name, path, error) from None

    def check_own(self, names: tuple[str, str], certificate: str, key: str | None, password: str | None) -> None:
        """`names` of the parameters. `key` None: in the certificate's file, or where the driver looks for it."""
        for name, path in zip(names, (certificate, key), strict=True):
            if path is not None:
                self._check_readable(name, path)
        if key is None:
            return
        try:
            # Without a password the library would ask for one at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, lambda: password or "")
        except (ssl.SSLError, ValueError):
            both = " and ".join(names)
            raise self.wrong(f"{both}: {certificate} and {key} are no certificate and its key in PEM") from None

    def check_private(self, name: str, path: str) -> None:
        """As libpq demands it, so that migrations run with what services start with."""
        found = Path(path).stat()
        if found.st_mode & (0o037 if found.st_uid == 0 else 0o077):
            raise self.wrong(f"{name}: {path} can be read by others; next: chmod 600 {path}")

    def wrong(self, said: str) -> SettingsError:
        return SettingsError(f"{self.variable}: {said}")

    def _check_readable(self, name: str, path: str) -> None:
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise self._unreadable(name, path, error) from None

    def _unreadable(self, name: str, path: str, error: OSError) -> SettingsError:
        if isinstance(error, FileNotFoundError):
            return self.wrong(f"{name}: {path} isn't there; put it there, or correct the path")
        return self.wrong(f"{name}: {path} can't be read: {(error.strerror or 'unknown').lower()}")
