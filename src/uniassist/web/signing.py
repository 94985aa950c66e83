"""Signed requests of channel adapters: hex HMAC-SHA256 of `<timestamp>.<nonce>.<raw body>`. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence

from uniassist.errors import InvalidSignature

SIGNATURE_HEADER = "x-uniassist-signature"
TIMESTAMP_HEADER = "x-uniassist-timestamp"
NONCE_HEADER = "x-uniassist-nonce"
_HEADERS = frozenset(name.encode() for name in (SIGNATURE_HEADER, TIMESTAMP_HEADER, NONCE_HEADER))
MAX_SKEW_MS = 5 * 60 * 1000

_SIGNATURE = re.compile(rb"[0-9a-fA-F]{64}")
_TIMESTAMP = re.compile(rb"[0-9]{1,16}")
# No dot: it would let "<nonce>.<start of the body>" pass for a fresh nonce over the rest of the body.
_NONCE = re.compile(rb"[!-\-/-~]{1,256}")


def fresh_nonce() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def sign(secret: str, body: bytes, *, now_ms: int, nonce: str) -> dict[str, str]:
    """The three headers to send with `body`, exactly these bytes. A nonce is used once."""
    if _NONCE.fullmatch(nonce.encode()) is None:
        raise ValueError("nonce: expected 1 to 256 visible ASCII characters other than a dot")
    timestamp = str(now_ms)
    digest = _digest(secret, timestamp.encode("ascii"), nonce.encode("ascii"), body)
    return {SIGNATURE_HEADER: digest, TIMESTAMP_HEADER: timestamp, NONCE_HEADER: nonce}


def is_signed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the request claims to be signed, by any of the three headers."""
    return any(name.lower() in _HEADERS for name, _ in headers)


def verify(headers: Iterable[tuple[bytes, bytes]], body: bytes, secrets: Sequence[str], now_ms: int) -> str:
    """The nonce of a request signed under one of `secrets` (several while one is being changed).

    `headers` are ASGI's raw ones. InvalidSignature says which header is at fault. Whether the nonce was used
    before is the caller's to check, after this and in the transaction that writes.
    """
    given = list(headers)
    signature = _one(given, SIGNATURE_HEADER, _SIGNATURE, "64 hex digits").lower()
    timestamp = _one(given, TIMESTAMP_HEADER, _TIMESTAMP, "Unix milliseconds")
    nonce = _one(given, NONCE_HEADER, _NONCE, "1 to 256 visible ASCII characters other than a dot").decode("ascii")
    if abs(int(timestamp) - now_ms) > MAX_SKEW_MS:
        raise InvalidSignature(f"{TIMESTAMP_HEADER}: more than {MAX_SKEW_MS // 60_000} minutes off this clock")
    good = False
    for secret in secrets:  # all of them, always: the time taken doesn't tell which one matched
        digest = _digest(secret, timestamp, nonce.encode("ascii"), body)
        good |= hmac.compare_digest(digest.encode("ascii"), signature)
    if not good:
        raise InvalidSignature(f"{SIGNATURE_HEADER}: doesn't match this timestamp, nonce and body")
    return nonce


def _digest(secret: str, timestamp: bytes, nonce: bytes, body: bytes) -> str:
    if not secret:
        raise ValueError("an empty secret signs nothing")
    return hmac.new(secret.encode(), b"%b.%b.%b" % (timestamp, nonce, body), hashlib.sha256).hexdigest()


def _one(headers: list[tuple[bytes, bytes]], name: str, form: re.Pattern[bytes], expected: str) -> bytes:
    wanted = name.encode("ascii")
    found = [value for key, value in headers if key.lower() == wanted]
    if not found:
        raise InvalidSignature(f"{name}: required, but missing")
    if len(found) > 1:
        raise InvalidSignature(f"{name}: given more than once")
    if form.fullmatch(found[0]) is None:
        raise InvalidSignature(f"{name}: expected {expected}")
    return found[0]
