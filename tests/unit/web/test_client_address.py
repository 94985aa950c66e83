"""Whose address a request comes from: the peer's, unless a proxy of ours says another."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from uniassist.errors import SettingsError
from uniassist.web.client_address import ClientAddresses

PROXIES = ("10.0.0.0/8", "127.0.0.1", "fd00::/8")


def asked(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    client = None if peer is None else (peer, 40_000)
    return Request({"type": "http", "client": client, "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),  # no proxy of ours: not believed
        ("10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("192.0.2.9, 198.51.100.1",), "198.51.100.1"),  # the first was written by whoever asked
        ("10.1.2.3", ("192.0.2.9", "198.51.100.1"), "198.51.100.1"),
        ("10.1.2.3", ("198.51.100.1, 10.9.9.9",), "198.51.100.1"),  # two proxies of ours in a row
        ("10.1.2.3", ("198.51.100.1, nonsense",), None),
        ("10.1.2.3", ("198.51.100.1," * 20 + "10.9.9.9," * 20,), None),
        ("10.1.2.3", (), None),
        ("10.1.2.3", ("",), None),
        ("127.0.0.1", ("2001:db8:1:2:3:4:5:6",), "2001:db8:1:2::/64"),
        ("2001:db8::1", (), "2001:db8::/64"),
        ("::ffff:203.0.113.7", (), "203.0.113.7"),
        ("fd00::1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("127.0.0.2", (), None),
        ("::1", (), None),
        (None, (), None),
        ("a socket's path", (), None),
    ],
)
def test_an_address(peer: str | None, forwarded: tuple[str, ...], expected: str | None) -> None:
    assert ClientAddresses(PROXIES).of(asked(peer, *forwarded)) == expected


def test_without_proxies_this_machine_is_not_limited_whatever_it_says() -> None:
    assert ClientAddresses().of(asked("127.0.0.1", "198.51.100.1")) is None


def test_what_is_no_network_stops_the_start() -> None:
    for wrong in ("proxy.example", "10.0.0.1/8", "10.0.0.0/40"):
        with pytest.raises(SettingsError, match="GATEWAY_TRUSTED_PROXIES"):
            ClientAddresses([wrong])
