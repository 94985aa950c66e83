"""REDIS_URL on this host: what `settings` makes of it, its files looked at, as the driver takes it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uniassist.settings.redis_url import RedisUrl
from uniassist.settings.redis_url import parsed as as_text
from uniassist.settings.tls_files import TlsFiles

_FILES = TlsFiles("REDIS_URL")


def parsed(url: str) -> RedisUrl:
    """SettingsError names the parameter that can't be had, or its file and what is wrong with it."""
    found = as_text(url)
    said = found.tls
    if "ssl_ca_certs" in said:
        _FILES.check_trusted("ssl_ca_certs", said["ssl_ca_certs"])
    if "ssl_ca_path" in said and not Path(said["ssl_ca_path"]).is_dir():
        raise _FILES.wrong(f"ssl_ca_path: {said['ssl_ca_path']} is no folder")
    if "ssl_keyfile" in said and "ssl_certfile" not in said:
        raise _FILES.wrong("ssl_keyfile needs ssl_certfile, the certificate of the key")
    if "ssl_certfile" in said:
        # One file may hold both.
        key = said.get("ssl_keyfile", said["ssl_certfile"])
        _FILES.check_own(("ssl_certfile", "ssl_keyfile"), said["ssl_certfile"], key, said.get("ssl_password"))
    if "ssl_ciphers" in said:
        _check_ciphers(said["ssl_ciphers"])
    return found


def _check_ciphers(ciphers: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(ciphers)
    except ssl.SSLError:
        raise _FILES.wrong(f"ssl_ciphers: none of {ciphers} is known here") from None


def tls_options(url: RedisUrl) -> dict[str, Any]:
    """The driver's `ssl_…`; none without TLS."""
    if not url.is_tls:
        return {}
    said: Mapping[str, Any] = {name: value for name, value in url.tls.items() if name != "ssl_cert_reqs"}
    return {**said, "ssl_cert_reqs": url.certificate_checks, "ssl_check_hostname": url.is_checking_host}


def login_options(user: str | None, password: str | None) -> dict[str, Any]:
    return {name: value for name, value in (("username", user), ("password", password)) if value is not None}
