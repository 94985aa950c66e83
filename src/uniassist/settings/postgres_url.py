"""DATABASE_URL as people have it: libpq's URLs, as far as both of our drivers can do what they ask for.

Services use one driver, migrations another; neither is asked what it makes of a URL. What it says is read here
once, and both are told the same. Whatever would be dropped or taken for something else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlencode

from uniassist.errors import SettingsError
from uniassist.settings.urls import parameters

DEFAULT_PORT = 5432
_LONGEST_CONNECT_SECONDS = 60
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<login>[^@/?#]*)@)?(?P<hosts>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:@\[\]]*))(?::(?P<port>[0-9]+))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")

# Those that change nothing for us. Whether a host is still there shows at the deadline that every call has.
_WITHOUT_EFFECT = (
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
)
# What both drivers take as it is said.
_HANDED_ON = (
    "gsslib",
    "krbsrvname",
    "options",
    "passfile",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslpassword",
    "sslrootcert",
)
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "primary", "read-write"),
}
# What the drivers can't do, with the values that ask for nothing more than they do; these aren't handed on.
_REFUSED_BUT: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("prefer", "disable"),
    "client_encoding": ("utf8", "UTF8", "auto"),
    "gssdelegation": ("0",),
    "gssencmode": ("prefer", "disable"),
    "load_balance_hosts": ("disable",),
    "max_protocol_version": ("3.0", "latest"),
    "min_protocol_version": ("3.0",),
    "replication": ("false", "off", "no", "0"),
    "sslcertmode": ("allow",),
}
_REFUSED: Mapping[str, str] = {
    "database": "write it as the path: postgresql://HOST/DATABASE",
    "dbname": "write it as the path: postgresql://HOST/DATABASE",
    "hostaddr": "write the address as the host",
    "oauth_client_id": "",
    "oauth_client_secret": "",
    "oauth_issuer": "",
    "oauth_scope": "",
    "require_auth": "",
    "requirepeer": "",
    "requiressl": "write sslmode=require",
    "scram_client_key": "",
    "scram_server_key": "",
    "service": "write out what it stands for",
    "servicefile": "write out what it stands for",
    "sslcrldir": "name one file by sslcrl",
    "sslkeylogfile": "",
}
_VERIFYING = ("verify-ca", "verify-full")


@dataclass(frozen=True)
class PostgresUrl:
    """`hosts`: names or addresses, or the folders of sockets; none for the drivers' own default.

    connect_seconds: of each host; None: not said.
    target: which of the hosts will do, as `target_session_attrs` has it; None where the one will do as it is.
    """

    hosts: tuple[tuple[str, int], ...]
    parameters: Mapping[str, str] = field(repr=False)
    connect_seconds: float | None
    target: str | None
    application_name: str | None
    _login: str = field(repr=False)
    _path: str

    @property
    def dsn(self) -> str:
        """Without its hosts."""
        query = urlencode(self.parameters, quote_via=quote)
        login = f"{self._login}@" if self._login else ""
        return f"postgresql://{login}{self._path}" + (f"?{query}" if query else "")

    @property
    def is_verifying(self) -> bool:
        return self.parameters.get("sslmode") in _VERIFYING

    def with_parameter(self, name: str, value: str) -> PostgresUrl:
        return replace(self, parameters={**self.parameters, name: value})


def parsed(url: str) -> PostgresUrl:
    """SettingsError names the parameter that can't be had."""
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _wrong("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    if _BAD_ESCAPE.search(url):
        raise _wrong("a % that stands for itself is written %25")
    said = parameters(parts["query"] or "", "DATABASE_URL")
    for name, value in said.items():
        _check(name, value)
    seconds = _seconds(said["connect_timeout"]) if "connect_timeout" in said else None
    hosts = _hosts(parts["hosts"], said.get("host", ""), said.get("port", ""))
    target = said.get("target_session_attrs") or ("read-write" if len(hosts) > 1 else None)
    kept = {name: value for name, value in said.items() if value and (name in _HANDED_ON or name in _ONE_OF)}
    kept.pop("target_session_attrs", None)
    _check_tls(kept)
    return PostgresUrl(
        hosts,
        kept,
        seconds,
        target,
        said.get("application_name") or None,
        _login(parts["login"], said),
        parts["path"],
    )


def _login(before_host: str | None, said: Mapping[str, str]) -> str:
    """As it is written before the host."""
    user, _, password = (before_host or "").partition(":")
    user, password = (
        user or quote(said.get("user", ""), safe=""),
        password or quote(said.get("password", ""), safe=""),
    )
    return f"{user}:{password}" if password else user


def _check(name: str, value: str) -> None:
    if name in _REFUSED:
        raise _wrong(f"{name} isn't supported" + (f"; {_REFUSED[name]}" if _REFUSED[name] else ""))
    can = _REFUSED_BUT.get(name) or _ONE_OF.get(name)
    if can and value and value not in can:
        raise _wrong(f"{name}={value} isn't supported; only {' or '.join(can)}")
    known = (
        "application_name",
        "connect_timeout",
        "host",
        "password",
        "port",
        "user",
        *_WITHOUT_EFFECT,
        *_HANDED_ON,
    )
    if not can and name not in known:
        raise _wrong(f"{name} is no parameter of such a URL; one of the server's is set by options=-c%20{name}%3D…")


def _check_tls(kept: dict[str, str]) -> None:
    """And what libpq makes of parameters that depend on each other."""
    if kept.get("sslrootcert") == "system" and kept.setdefault("sslmode", "verify-full") != "verify-full":
        raise _wrong(f"sslrootcert=system isn't supported with sslmode={kept['sslmode']}; only with verify-full")
    if kept.get("sslnegotiation") == "direct" and kept.get("sslmode") not in ("require", *_VERIFYING):
        raise _wrong("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")


def _hosts(before_path: str, in_query: str, ports: str) -> tuple[tuple[str, int], ...]:
    """Those of the query win, as with libpq; its ports are for hosts that name none."""
    if in_query:
        named = [(host, "") for host in in_query.split(",")]
    elif before_path:
        named = [_host(address) for address in before_path.split(",")]
    else:
        named = [("localhost", "")] if ports else []
    numbers = ports.split(",")
    if len(numbers) == 1:
        numbers *= len(named)
    if len(numbers) != len(named):
        raise _wrong(f"{len(numbers)} ports for {len(named)} hosts")
    if not all(host for host, _ in named):
        raise _wrong("a host is missing beside a comma")
    return tuple((host, _port(own or common)) for (host, own), common in zip(named, numbers, strict=True))


def _host(address: str) -> tuple[str, str]:
    match = _HOST.fullmatch(address)
    if match is None:
        raise _wrong("expected HOST:PORT, separated by commas where there are several; IPv6 as [ADDRESS]:PORT")
    return unquote(match["v6"] or match["name"]), match["port"] or ""


def _port(text: str) -> int:
    if text and not (text.isdecimal() and 0 < int(text) < 65536):
        raise _wrong(f"port: expected a number from 1 to 65535, got {text!r}")
    return int(text or DEFAULT_PORT)


def _seconds(value: str) -> float | None:
    """As libpq has it: none or negative for no limit, where ours stays."""
    try:
        seconds = int(value)
    except ValueError:
        raise _wrong(f"connect_timeout: expected whole seconds, got {value!r}") from None
    return float(min(seconds, _LONGEST_CONNECT_SECONDS)) if seconds > 0 else None


def _wrong(said: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL: {said}")
