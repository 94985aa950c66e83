"""What the console is told by the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from uniassist.errors import SettingsError
from uniassist.settings.known_services import SERVICES
from uniassist.settings.reader import Reader, Secret

Role = Literal["read", "act"]
TOKENS, SERVICES_SHOWN = "UNIASSIST_CONSOLE_TOKENS", "UNIASSIST_CONSOLE_SERVICES"
_SHORTEST_TOKEN = 16
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PORTS = {each.name: each.port_variable for each in SERVICES if each.name != "gateway"}


@dataclass(frozen=True)
class ConsoleOperator:
    """Somebody who shows a token."""

    name: str
    role: Role
    token: Secret


@dataclass(frozen=True)
class ConsoleSettings:
    """`is_open`: whoever reaches it from this machine may act: dev without tokens.

    `user_header` None: no proxy is believed. `services`: URL by name, besides the gateway.
    `release_directory` None: releases aren't shown. `reports_directory`: of drills; it needn't be there.
    """

    operators: tuple[ConsoleOperator, ...]
    is_open: bool
    user_header: str | None
    actors: frozenset[str]
    services: Mapping[str, str]
    release_directory: Path | None
    reports_directory: Path | None

    @classmethod
    def read(cls, reader: Reader) -> ConsoleSettings | None:
        """None: it isn't served. SettingsError names the variable at fault."""
        is_dev = reader.env == "dev"
        is_on = reader.optional_boolean("UNIASSIST_CONSOLE")
        if not (is_dev if is_on is None else is_on):
            return None
        operators, header = _operators(reader), _header(reader)
        if not (is_dev or operators or header):
            raise SettingsError(
                f"{TOKENS}: required where UNIASSIST_CONSOLE is on outside dev; expected name:role:token, or a "
                "proxy's UNIASSIST_CONSOLE_USER_HEADER"
            )
        directory = reader.optional("UNIASSIST_CONSOLE_RELEASE_DIR")
        return cls(
            operators=operators,
            is_open=not (operators or header),
            user_header=header,
            actors=frozenset(reader.items("UNIASSIST_CONSOLE_ACTORS")),
            services=_services(reader, is_dev=is_dev),
            release_directory=Path(directory) if directory is not None else None,
            reports_directory=_reports(reader, directory),
        )


def _reports(reader: Reader, directory: str | None) -> Path | None:
    """As set; else where a drill in the checkout writes them, whose .uniassist/release the records are."""
    given = reader.optional("UNIASSIST_CONSOLE_REPORTS_DIR")
    if given is not None or directory is None:
        return Path(given) if given is not None else None
    return Path(directory).absolute().parent.parent / "ops" / "deploy" / "reports"


def _operators(reader: Reader) -> tuple[ConsoleOperator, ...]:
    given = reader.optional_secret(TOKENS)
    if given is None:
        return ()
    found = list[ConsoleOperator]()
    for number, entry in enumerate(given.reveal().split(","), 1):
        name, _, rest = entry.strip().partition(":")
        role, _, token = rest.partition(":")
        where = f"{TOKENS}: entry {number}"
        if not _NAME.fullmatch(name) or role not in ("read", "act"):
            raise SettingsError(f"{where}: expected name:role:token, the role read or act")
        if len(token) < _SHORTEST_TOKEN or not token.isascii():
            raise SettingsError(f"{where}: expected a token of at least {_SHORTEST_TOKEN} ASCII characters")
        if any(name == each.name or token == each.token.reveal() for each in found):
            raise SettingsError(f"{where}: its name or its token is there twice")
        found.append(ConsoleOperator(name, cast(Role, role), Secret(token)))
    return tuple(found)


def _header(reader: Reader) -> str | None:
    name = reader.optional("UNIASSIST_CONSOLE_USER_HEADER")
    if name is None:
        return None
    if not _HEADER.fullmatch(name):
        raise SettingsError("UNIASSIST_CONSOLE_USER_HEADER: expected a header's name, such as X-Forwarded-User")
    if not reader.items("GATEWAY_TRUSTED_PROXIES"):
        raise SettingsError(
            "UNIASSIST_CONSOLE_USER_HEADER: needs GATEWAY_TRUSTED_PROXIES, whose header is believed"
        )
    return name.lower()


def _services(reader: Reader, *, is_dev: bool) -> dict[str, str]:
    items = reader.items(SERVICES_SHOWN)
    if not items and is_dev:
        return {name: f"http://127.0.0.1:{reader.integer(variable)}" for name, variable in _PORTS.items()}
    found = dict[str, str]()
    for item in items:
        name, _, url = item.partition("=")
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if not _NAME.fullmatch(name) or parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{SERVICES_SHOWN}: expected name=URL, such as worker=http://10.0.0.7:8789")
        found[name] = url.rstrip("/")
    return found
