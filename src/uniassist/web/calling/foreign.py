"""URLs that somebody else chose are fetched here and nowhere else: allowed hosts, public addresses, no redirects.

The addresses that are checked are those that are connected to: names are resolved once, and the connection is made
with what was found.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from uniassist.web.calling.addresses import is_public
from uniassist.web.calling.client import Answer, BadAnswer, TimedOut, Unreachable

_LONGEST_URL = 2048
_CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024
_AT_ONCE = 20
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOOKS_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name. OSError when it has none."""


class Refused(Exception):
    """The URL isn't one that may be fetched, and never will be. The message holds nothing of the URL."""


class AllowedHosts:
    """What an operator lets be fetched.

    hosts: `files.example` is that host, `*.files.example` every host below it; with `:8443`, on that port; without
    one, on the scheme's own. ValueError when one is neither.
    origins: URLs of the operator's own services; the same scheme, host and port is allowed, wherever it is.
    """

    def __init__(self, hosts: Sequence[str], *, origins: Sequence[str] = ()) -> None:
        self._hosts = [_parts(host) for host in hosts]
        self._origins = {URL(origin).origin() for origin in origins}

    def is_own(self, url: URL) -> bool:
        return url.origin() in self._origins

    def allows(self, url: URL) -> bool:
        host, port = (url.host or "").rstrip("."), url.port
        return any(
            (host.endswith(name[1:]) if name.startswith("*.") else host == name)
            and port == (allowed_port or _DEFAULT_PORTS[url.scheme])
            for name, allowed_port in self._hosts
        )


class ForeignUrls:
    """`async with ForeignUrls(allowed, limit_bytes=…) as urls`: GETs, without cookies, proxies or decompression.

    limit_bytes: a longer answer is a BadAnswer.
    lookup: the system's resolver, unless a test brings another.
    """

    def __init__(self, allowed: AllowedHosts, *, limit_bytes: int, lookup: Lookup | None = None) -> None:
        self._allowed = allowed
        self._limit_bytes = limit_bytes
        self._lookup = lookup or _system_lookup
        self._foreign: aiohttp.ClientSession | None = None
        self._own: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ForeignUrls:
        self._foreign = _session(_CheckedResolver(self._lookup))
        self._own = _session(None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._foreign, self._own):
            if session is not None:
                await session.close()

    async def get(self, text: str, *, timeout_seconds: float) -> Answer:
        """The answer, whatever its status. Refused; Unreachable, TimedOut or BadAnswer as of `web.client`."""
        assert self._foreign is not None, "use `async with ForeignUrls(…)`"
        assert self._own is not None
        url = self._checked(text)
        session = self._own if self._allowed.is_own(url) else self._foreign
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                session.get(url, allow_redirects=False) as response,
            ):
                raw = await self._bounded(response)
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, raw)
        except _NotPublic:
            raise Refused("its host has an address that isn't public") from None
        except TimeoutError:
            raise TimedOut(f"no answer within {timeout_seconds:g} seconds") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise Unreachable(type(error).__name__) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise BadAnswer(type(error).__name__) from None

    def _checked(self, text: str) -> URL:
        """Read once, by who fetches it: two readers could take one text for two URLs."""
        if len(text) > _LONGEST_URL or not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
            raise Refused("expected a URL of visible ASCII characters")
        try:
            url = URL(text)
            host, port = url.host or "", url.port
        except ValueError:
            raise Refused("expected a URL") from None
        if url.scheme not in _DEFAULT_PORTS or not host or not port:
            raise Refused("expected http or https, and a host")
        if url.raw_user is not None or url.raw_password is not None:
            raise Refused("expected no user in it")
        url = url.with_fragment(None)
        if self._allowed.is_own(url):
            return url
        if not self._allowed.allows(url):
            raise Refused("its host isn't allowed")
        if ":" in host or "%" in host or _LOOKS_NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
            # Never resolved, hence checked here; decimal, octal, hexadecimal and short forms are no addresses.
            if not is_public(host):
                raise Refused("expected a public address")
        elif not _HOST.fullmatch(host.rstrip(".")):
            raise Refused("expected a host's name")
        return url

    async def _bounded(self, response: aiohttp.ClientResponse) -> bytes:
        kept = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            kept += chunk
            if len(kept) > self._limit_bytes:
                response.close()
                raise BadAnswer(f"answered more than {self._limit_bytes} bytes")
        return bytes(kept)


class _NotPublic(Exception):
    """Not an OSError: aiohttp would take that for a host that can't be reached."""


class _CheckedResolver(AbstractResolver):
    """What aiohttp connects to. One address that isn't public condemns them all: such an answer is no accident."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host)
        if not all(is_public(address) for address in addresses):
            raise _NotPublic
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is kept."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


async def _system_lookup(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _session(resolver: AbstractResolver | None) -> aiohttp.ClientSession:
    # No cache of names and no kept connection: each URL is judged by what its host is now.
    connector = aiohttp.TCPConnector(limit=_AT_ONCE, resolver=resolver, use_dns_cache=False, force_close=True)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "uniassist"},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
    )


def _parts(host: str) -> tuple[str, int | None]:
    """ValueError when it is neither `host`, `*.host` nor one of them with a port."""
    name, _, port = host.lower().partition(":")
    if not _HOST.fullmatch(name.removeprefix("*.")) or not re.fullmatch(r"[0-9]{0,5}", port):
        raise ValueError(f"expected a host such as files.example or *.files.example, got {host!r}")
    return name, int(port) if port else None
