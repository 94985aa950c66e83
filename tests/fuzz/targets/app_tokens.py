"""App tokens and tickets: as they come, and with anything signed by a good key."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from uniassist.errors import InvalidAppToken
from uniassist.gateway.tickets import Tickets
from uniassist.web.auth.app_keys import from_setting
from uniassist.web.auth.app_tokens import AppToken, AppTokens, user_in

_SECRET = "k" * 32
_LATER = int(time.time()) + 10_000_000


def _public(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    written = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return written.decode()


_ED, _EC = ed25519.Ed25519PrivateKey.from_private_bytes(b"e" * 32), ec.derive_private_key(7, ec.SECP256R1())
_TOKENS = AppTokens(
    [from_setting("KEY", key) for key in (_SECRET, _public(_ED), _public(_EC))], longest_seconds=366 * 86_400
)
_TICKETS = Tickets((_SECRET,))
_CLAIMS = {"sub": "anna", "exp": _LATER}
SEEDS = [
    jwt.encode(_CLAIMS, _SECRET, "HS256").encode(),
    jwt.encode(_CLAIMS, _ED, "EdDSA", headers={"kid": "a"}).encode(),
    jwt.encode(_CLAIMS, _EC, "ES256").encode(),
    _TICKETS.issue("s-1", subject="anna", ends_at_ms=_LATER * 1000, now_ms=_LATER * 1000)[0].encode(),
    # claims that are signed below
    b'{"sub":"anna","exp":%d}' % _LATER,
    b'{"sub":"anna","exp":%d,"nbf":1,"iat":1,"iss":"i","aud":["a"],"jti":"j"}' % _LATER,
]
TOKENS = [
    *(
        b".",
        b"..",
        b"=",
        b"-",
        b"_",
        b"A",
        b"AAAA",
        b"e30",
        b"e30.e30.e30",
        b"eyJhbGciOiJub25lIn0",
        b"eyJhbGciOiJIUzI1NiJ9.",
        b"\xff",
        b"\0",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b'"sub":',
        b'"exp":',
        b'"nbf":',
        b'"iat":',
        b'"crit":["b64"],',
        b'"b64":false,',
    ),
    *(
        b"1e999",
        b"-1",
        b"9" * 400,
        b"NaN",
        b"Infinity",
        b"true",
        b"null",
        b"\\ud800",
        b"\\u0000",
        b'"a":[',
        b'{"a":',
        b"1",
        b"anna",
    ),
]


def check(raw: bytes) -> None:
    """Refused in its words, or good and then bounded; whoever isn't a key's holder gets nothing."""
    shown = raw.decode("latin-1")
    user_in(shown, "sub")
    with contextlib.suppress(InvalidAppToken):
        _sound(_read(shown))
    with contextlib.suppress(InvalidAppToken):
        _TICKETS.read(shown, int(time.time() * 1000))
    if len(raw) <= 4096:
        _check_signed(b'{"alg":"HS256"}', raw)
        _check_signed(raw, b'{"sub":"anna","exp":%d}' % _LATER)


def _check_signed(header: bytes, claims: bytes) -> None:
    signed = _part(header) + b"." + _part(claims)
    digest = hmac.new(_SECRET.encode(), signed, hashlib.sha256).digest()
    with contextlib.suppress(InvalidAppToken):
        _sound(_read((signed + b"." + _part(digest)).decode("ascii")))


def _read(shown: str) -> AppToken:
    """Without a key set nothing waits, so a step is all it takes."""
    try:
        _TOKENS.read(shown).send(None)
    except StopIteration as done:
        found: AppToken = done.value
        return found
    raise AssertionError("a token was waited for")


def _sound(token: AppToken) -> None:
    for name in (token.subject, token.user_id):
        assert 1 <= len(name) <= 256
        assert b"\0" not in name.encode()
    assert time.time() - 31 <= token.expires_at <= time.time() + 367 * 86_400


def _part(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
