"""Who may push: whoever has the platform's signature, in time, and uses each signature for one body only.

The same push again is let in, as the platform itself repeats it: its delivery is joined here (`Deliveries.join`),
and the gateway knows its `messageId`, so that it is one input.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import ClassVar

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import BadEnvelope, EnvelopeCipher
from uniassist.adapter_wechat.inbound.messages import is_json, read_fields
from uniassist.adapter_wechat.inbound.recent_keys import Recent
from uniassist.errors import InvalidRequest, InvalidSignature

_DIGEST = re.compile(r"[0-9a-fA-F]{40}")
_MAX_REMEMBERED = 100_000
_REMEMBERED_SECONDS = 2.0 * signature.MAX_SKEW_SECONDS


class PushRefused(InvalidSignature):
    """The platform's own convention for a bad signature is 403."""

    status: ClassVar[int] = 403


@dataclass(frozen=True)
class Opened:
    """A push's fields, and the form in which it came. Its answer must have the same form."""

    fields: dict[str, str]
    is_sealed: bool
    is_json: bool


class PushAccess:
    """Opens pushes, or refuses them.

    envelope: None for plain mode. With one, only encrypted pushes are taken, so that none can be downgraded.
    """

    def __init__(self, token: str, envelope: EnvelopeCipher | None) -> None:
        self._token = token
        self._envelope = envelope
        self._used = Recent[bytes](seconds=_REMEMBERED_SECONDS, most=_MAX_REMEMBERED)

    def check_handshake(self, query: dict[str, str]) -> str:
        """The echostr. Its time isn't checked: an echo tells nobody anything, and operators' clocks are off."""
        self._check(query, "signature")
        return query.get("echostr", "")

    def check_query(self, query: dict[str, str]) -> None:
        """PushRefused for what the query alone shows to be none of the platform's, before its body is read.

        In the encrypted modes the signature is of the body as well, so that only its form can be told.
        """
        self._check_time(query)
        if self._envelope is None:
            self._check(query, "signature")
        elif query.get("encrypt_type") != "aes":
            raise PushRefused("encrypt_type: expected aes, since WECHAT_ENCODING_AES_KEY is set")
        elif _DIGEST.fullmatch(query.get("msg_signature", "")) is None:
            raise PushRefused("msg_signature: does not match timestamp and nonce")

    def open(self, query: dict[str, str], body: bytes) -> Opened:
        """A good push. PushRefused, InvalidRequest."""
        self._check_time(query)
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

    def _open_sealed(self, query: dict[str, str], body: bytes, envelope: EnvelopeCipher) -> dict[str, str]:
        if query.get("encrypt_type") != "aes":
            raise PushRefused("encrypt_type: expected aes, since WECHAT_ENCODING_AES_KEY is set")
        outer = read_fields(body)
        sealed = outer.get("Encrypt", "").strip()
        self._check(query, "msg_signature", sealed)
        try:
            return read_fields(envelope.open(sealed))
        except BadEnvelope as error:
            raise PushRefused(f"Encrypt: {error}") from None

    def _check_time(self, query: dict[str, str]) -> None:
        if not signature.is_timely(query.get("timestamp", ""), time.time()):
            raise PushRefused("timestamp: expected Unix seconds, at most 5 minutes off this clock")

    def _check(self, query: dict[str, str], name: str, *more: str) -> None:
        given = query.get(name, "")
        if not given or not signature.matches(
            given, self._token, query.get("timestamp", ""), query.get("nonce", ""), *more
        ):
            raise PushRefused(f"{name}: does not match timestamp and nonce")

    def _check_first_use(self, given: str, body: bytes) -> None:
        """Plain mode doesn't sign the body, so at least nobody puts another body under a signature seen here."""
        digest = hashlib.sha256(body).digest()
        if self._used.first(given.lower(), digest) != digest:
            raise PushRefused("signature: was used for another body")
