"""Who may push: the platform's signature, in time, and each signature for one body only."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import ClassVar

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import BadEnvelope, Envelope
from uniassist.adapter_wechat.messages import is_json, read_fields
from uniassist.adapter_wechat.recent import Recent
from uniassist.errors import InvalidRequest, InvalidSignature

_MAX_REMEMBERED = 100_000
_REMEMBERED_SECONDS = 2.0 * signature.MAX_SKEW_SECONDS


class PushRefused(InvalidSignature):
    """The platform's own convention for a bad signature is 403."""

    status: ClassVar[int] = 403


@dataclass(frozen=True)
class Opened:
    """A push's fields, and how it came: so must its answer be."""

    fields: dict[str, str]
    is_sealed: bool
    is_json: bool


class PushAccess:
    """`envelope` None: plain mode. With one, only encrypted pushes are taken, so that none can be downgraded."""

    def __init__(self, token: str, envelope: Envelope | None) -> None:
        self._token = token
        self._envelope = envelope
        self._used = Recent[bytes](seconds=_REMEMBERED_SECONDS, most=_MAX_REMEMBERED)

    def check_handshake(self, query: dict[str, str]) -> str:
        """The echostr. Any time will do: an echo tells nobody anything, and operators' clocks are off."""
        self._check(query, "signature")
        return query.get("echostr", "")

    def open(self, query: dict[str, str], body: bytes) -> Opened:
        """A good push; PushRefused for any other."""
        if not signature.is_timely(query.get("timestamp", ""), time.time()):
            raise PushRefused("timestamp: expected Unix seconds, at most 5 minutes off this clock")
        if self._envelope is not None:
            return Opened(self._open_sealed(query, body, self._envelope), True, is_json(body))
        self._check(query, "signature")
        self._check_first_use(query["signature"], body)
        fields = read_fields(body)
        if "MsgType" not in fields and "Encrypt" in fields:
            raise InvalidRequest("Encrypt: can't be read while WECHAT_ENCODING_AES_KEY is not set")
        return Opened(fields, False, is_json(body))

    def claims_platform(self, query: dict[str, str]) -> bool:
        """Whether the request claims to come from the platform at all."""
        return "signature" in query or "msg_signature" in query

    def _open_sealed(self, query: dict[str, str], body: bytes, envelope: Envelope) -> dict[str, str]:
        if query.get("encrypt_type") != "aes":
            raise PushRefused("encrypt_type: expected aes, since WECHAT_ENCODING_AES_KEY is set")
        outer = read_fields(body)
        sealed = outer.get("Encrypt", "").strip()
        self._check(query, "msg_signature", sealed)
        try:
            return read_fields(envelope.open(sealed))
        except BadEnvelope as error:
            raise PushRefused(f"Encrypt: {error}") from None

    def _check(self, query: dict[str, str], name: str, *more: str) -> None:
        given = query.get(name, "")
        if not given or not signature.matches(
            given, self._token, query.get("timestamp", ""), query.get("nonce", ""), *more
        ):
            raise PushRefused(f"{name}: does not match timestamp and nonce")

    def _check_first_use(self, given: str, body: bytes) -> None:
        """Plain mode doesn't sign the body: at least nobody shall put another one under a signature seen here."""
        digest = hashlib.sha256(body).digest()
        if self._used.first(given.lower(), digest) != digest:
            raise PushRefused("signature: was used for another body")
