"""REDIS_URL as people have it: one server, Sentinels that know which server it is now, or a Cluster.

`redis://[user:password@]host[:port][/DATABASE]`, `rediss://` for TLS, `unix://[user:password@]/path?db=…`, and
`redis+sentinel://[user:password@]host:port[,host:port…]/SERVICE[/DATABASE]`, `rediss+sentinel://` for TLS to both.
User and password are the server's; the Sentinels' own are `sentinel_username` and `sentinel_password`.
`redis+cluster://[user:password@]host:port[,host:port…]`, `rediss+cluster://` for TLS: nodes that know the others.
`lanes=N` with any of them: how many lanes the streams have (`uniassist.streams.lanes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from uniassist.errors import SettingsError
from uniassist.settings.urls import parameters

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
SCHEMES = ("redis", "rediss", "unix", *SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
CLUSTER_LANES, MOST_LANES = 4, 32
_PORT, _SENTINEL_PORT = 6379, 26379

# Connecting, answers and how many connections there are have their own bounds.
_WITHOUT_EFFECT = (
    "health_check_interval",
    "max_connections",
    "retry_on_error",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_read_size",
    "socket_timeout",
    "timeout",
)
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_TAKEN = ("client_name", "db", "lanes", "password", "ssl_ciphers", "ssl_password", "username")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "ssl_cert_reqs": ("required", "optional", "none", "CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE"),
    "ssl_check_hostname": (*_TRUE, *_FALSE),
}
_REFUSED_BUT: Mapping[str, tuple[str, ...]] = {
    "decode_responses": _FALSE,
    "encoding": ("utf-8", "utf8"),
    "protocol": ("2", "3"),
}
_OF_SENTINELS = ("sentinel_password", "sentinel_username")


@dataclass(frozen=True)
class RedisUrl:
    """`service` None: `hosts` has the one server, or `socket` is its path. Else they are Sentinels.

    is_cluster: they are nodes of one; `lanes` None: the streams have none, which a Cluster always has.
    tls: what `ssl_…` says, as text; `is_tls`: whether any is spoken.
    """

    hosts: tuple[tuple[str, int], ...]
    socket: str | None
    service: str | None
    database: int
    user: str | None
    password: str | None = field(repr=False)
    sentinel_user: str | None
    sentinel_password: str | None = field(repr=False)
    is_tls: bool
    tls: Mapping[str, str] = field(repr=False)
    client_name: str | None
    is_cluster: bool = False
    lanes: int | None = None

    @property
    def is_checking_host(self) -> bool:
        return self.tls.get("ssl_check_hostname", "true").lower() in _TRUE

    @property
    def certificate_checks(self) -> str:
        """required, optional or none."""
        return self.tls.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")


def parsed(url: str) -> RedisUrl:
    """SettingsError names the parameter that can't be had, or says what is missing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong("expected redis://USER:PASSWORD@HOST:PORT/0") from None
    is_sentinel = parts.scheme in SENTINEL_SCHEMES
    said = parameters(parts.query, "REDIS_URL")
    for name, value in said.items():
        _check(name, value, is_sentinel=is_sentinel)
    login, _, addresses = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    is_tls = parts.scheme.startswith("rediss")
    tls = {name: value for name, value in said.items() if name.startswith("ssl_") and value}
    if tls and not is_tls:
        raise _wrong(f"{min(tls)} is for TLS, which is spoken with rediss:// only")
    service, hosts, socket, in_path = _where(parts.scheme, addresses, parts.path)
    is_cluster, database = parts.scheme in CLUSTER_SCHEMES, _database(in_path, said.get("db", ""))
    if is_cluster and database != 0:
        raise _wrong("a Cluster has the database 0 only")
    return RedisUrl(
        hosts,
        socket,
        service,
        database,
        unquote(user) or said.get("username") or None,
        unquote(password) or said.get("password") or None,
        said.get("sentinel_username") or None,
        said.get("sentinel_password") or None,
        is_tls,
        tls,
        said.get("client_name") or None,
        is_cluster,
        _lanes(said.get("lanes", ""), CLUSTER_LANES if is_cluster else None),
    )


def _where(
    scheme: str, addresses: str, path: str
) -> tuple[str | None, tuple[tuple[str, int], ...], str | None, str]:
    """The service, the hosts, the socket, and the database as the path has it."""
    if scheme == "unix":
        if addresses or not path.strip("/"):
            raise _wrong("expected unix:///path/of/socket?db=0")
        return None, (), unquote(path), ""
    in_path = path.strip("/")
    if scheme in SENTINEL_SCHEMES:
        service, _, database = in_path.partition("/")
        if not service or not addresses:
            raise _wrong("expected redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DATABASE")
        sentinels = tuple(_address(each, _SENTINEL_PORT, "of each Sentinel") for each in addresses.split(","))
        return unquote(service), sentinels, None, database
    if scheme in CLUSTER_SCHEMES:
        if not addresses:
            raise _wrong("expected redis+cluster://HOST:PORT,HOST:PORT?lanes=4")
        return None, tuple(_address(each, _PORT, "of each node") for each in addresses.split(",")), None, in_path
    server = _address(addresses, _PORT, "of the server") if addresses else ("localhost", _PORT)
    return None, (server,), None, in_path


def _address(text: str, default_port: int, whose: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or "," in host:
        raise _wrong(f"expected HOST:PORT {whose}" + (", separated by commas" if "each" in whose else ""))
    return unquote(host), port or default_port


def _check(name: str, value: str, *, is_sentinel: bool) -> None:
    if name in _OF_SENTINELS and not is_sentinel:
        raise _wrong(f"{name} is for Sentinels: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DATABASE")
    can = _REFUSED_BUT.get(name) or _ONE_OF.get(name)
    if can and value.lower() not in [each.lower() for each in can]:
        raise _wrong(f"{name}={value} isn't supported; only {' or '.join(can)}")
    if not can and name not in (*_TAKEN, *_FILES, *_OF_SENTINELS, *_WITHOUT_EFFECT):
        raise _wrong(f"{name} is no parameter of such a URL")


def _database(in_path: str, in_query: str) -> int:
    """As the client of most languages has it: the query's wins."""
    said = in_query or unquote(in_path) or "0"
    if not re.fullmatch("[0-9]{1,5}", said):
        raise _wrong(f"expected the number of the database, got {said!r}")
    return int(said)


def _lanes(said: str, default: int | None) -> int | None:
    if not said:
        return default
    if not re.fullmatch("[0-9]{1,2}", said) or not 1 <= int(said) <= MOST_LANES:
        raise _wrong(f"lanes: expected a number from 1 to {MOST_LANES}, got {said!r}")
    return int(said)


def _wrong(said: str) -> SettingsError:
    return SettingsError(f"REDIS_URL: {said}")
