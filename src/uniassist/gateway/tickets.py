"""Tickets for event streams: browsers' EventSource can't send headers, so it shows one in its query instead.

A ticket says what it is good for, under a seal that every gateway can check, since all of them have the adapter
secret. That it is used once is kept where nonces are. Without a key of its own and without a table: a ticket that
nobody uses leaves nothing behind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from uniassist.errors import InvalidAppToken

TICKET_MS = 60 * 1000
MAX_TICKET_LENGTH = 8192
_PURPOSE = b"uniassist stream ticket 1"
_SEAL_BYTES = 32


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """`subject`: whose stream; None: of whoever needs none. `ends_at_ms`: when the stream must end; None: never."""

    ticket_id: str
    session_id: str
    subject: str | None
    ends_at_ms: int | None
    expires_at_ms: int

    @property
    def nonce(self) -> str:
        """What its use uses up."""
        return f"ticket:{self.ticket_id}"


@dataclass(frozen=True)
class Tickets:
    """Makes tickets and reads them. `secrets`: the first seals, all of them are taken."""

    secrets: Sequence[str]

    def issue(
        self, session_id: str, *, subject: str | None, ends_at_ms: int | None, now_ms: int
    ) -> tuple[str, int]:
        """A ticket as it is shown, and when it expires (Unix milliseconds)."""
        ticket = Ticket(secrets.token_hex(16), session_id, subject, ends_at_ms, now_ms + TICKET_MS)
        written = msgspec.json.encode(ticket)
        sealed = _seal(self.secrets[0], written) + written
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii"), ticket.expires_at_ms

    def read(self, shown: str, now_ms: int) -> Ticket:
        """A ticket that is good, though perhaps used before. InvalidAppToken never says what it holds."""
        sealed = _unpacked(shown) if len(shown) <= MAX_TICKET_LENGTH else b""
        seal, written = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        good = False
        for secret in self.secrets:  # all of them: the time taken doesn't tell which one matched
            good |= hmac.compare_digest(_seal(secret, written), seal)
        if not good:
            raise InvalidAppToken("ticket: expected one of POST /v0/stream-tickets")
        ticket = msgspec.json.decode(written, type=Ticket)
        if now_ms >= ticket.expires_at_ms:
            raise InvalidAppToken("ticket: has expired; expected a fresh one")
        return ticket


def _seal(secret: str, written: bytes) -> bytes:
    key = hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).digest()
    return hmac.new(key, written, hashlib.sha256).digest()


def _unpacked(shown: str) -> bytes:
    try:
        return base64.b64decode(shown.encode("ascii") + b"=" * (-len(shown) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
