"""Where a request comes from. A proxy of ours says it for its clients; nobody else is believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from starlette.requests import Request

from uniassist.errors import SettingsError

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED = b"x-forwarded-for"
_MOST_HOPS = 16
_MOST_FORWARDED_BYTES = 512  # of the end, which our proxies wrote
_REMEMBERED = 4096  # so that a request costs a look
_IPV6_PREFIX = 64  # what a customer of a provider has at the least: an address of it is nobody in particular


class ClientAddresses:
    """Tells addresses apart. `proxies`: addresses and networks whose X-Forwarded-For is believed."""

    def __init__(self, proxies: Sequence[str] = (), *, variable: str = "GATEWAY_TRUSTED_PROXIES") -> None:
        try:
            self._proxies: tuple[_Network, ...] = tuple(ipaddress.ip_network(each) for each in proxies)
        except ValueError:
            raise SettingsError(f"{variable}: expected addresses or networks, such as 10.0.0.0/8") from None
        self._found = lru_cache(_REMEMBERED)(self._find)

    def of(self, request: Request) -> str | None:
        """An IPv4 address or an IPv6 network of 64 bits; None: this machine, or a proxy that names nobody."""
        client = request.scope.get("client")
        if client is None:
            return None
        forwarded = b""
        if self._proxies:
            values = [value for name, value in request.scope["headers"] if name == _FORWARDED]
            forwarded = b",".join(values)[-_MOST_FORWARDED_BYTES:]
        found: str | None = self._found(client[0], forwarded)
        return found

    def is_from_proxy(self, request: Request) -> bool:
        """Whether one of our proxies hands the request on, so that what it says of it is believed."""
        client = request.scope.get("client")
        peer = _read(client[0]) if client is not None else None
        return peer is not None and self._is_proxy(peer)

    def _find(self, host: str, forwarded: bytes) -> str | None:
        peer = _read(host)
        if peer is None:
            return None
        if self._is_proxy(peer):
            peer = self._forwarded(forwarded) or peer
            if self._is_proxy(peer):
                return None
        return None if peer.is_loopback else _named(peer)

    def _is_proxy(self, address: _Address) -> bool:
        return any(address in network for network in self._proxies if network.version == address.version)

    def _forwarded(self, forwarded: bytes) -> _Address | None:
        """The last one that isn't a proxy of ours: what stands before it, anybody could have written."""
        address = None
        for hop in forwarded.decode("latin-1").split(",")[: -_MOST_HOPS - 1 : -1]:
            found = _read(hop.strip())
            if found is None:
                return address
            address = found
            if not self._is_proxy(found):
                return found
        return address


def _read(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _named(address: _Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))
