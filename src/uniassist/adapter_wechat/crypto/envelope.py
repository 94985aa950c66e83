"""The envelope of the encrypted modes: AES-256-CBC with IV = key[:16], PKCS#7 to 32 bytes. Pure.

Plaintext: 16 random bytes, the message's length in 4 bytes (big-endian), the message, the app id.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_BLOCK = 32
_RANDOM = 16
_HEAD = _RANDOM + 4


class BadEnvelope(Exception):
    """Not encrypted under this key for this app."""


class EnvelopeCipher:
    """Opens and seals under one EncodingAESKey for one app. ValueError for a key of another form."""

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        if _KEY.fullmatch(encoding_aes_key) is None:
            raise ValueError("expected 43 characters of A-Z, a-z, 0-9, + and /")
        key = base64.b64decode(encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._app_id = app_id.encode()

    def open(self, sealed: str) -> bytes:
        """The message. Check `msg_signature` first: it is what tells a forged envelope."""
        try:
            encrypted = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise BadEnvelope("not base64") from None
        if not encrypted or len(encrypted) % _BLOCK:
            raise BadEnvelope("not whole blocks")
        decryptor = self._cipher.decryptor()
        plain = _unpadded(decryptor.update(encrypted) + decryptor.finalize())
        end = _HEAD + int.from_bytes(plain[_RANDOM:_HEAD], "big")
        if len(plain) < _HEAD or end > len(plain):
            raise BadEnvelope("the length does not fit")
        if not hmac.compare_digest(plain[end:], self._app_id):
            raise BadEnvelope("for another app id")
        return plain[_HEAD:end]

    def seal(self, message: bytes, *, random: bytes) -> str:
        """`random`: 16 fresh bytes."""
        assert len(random) == _RANDOM, "16 random bytes"
        plain = random + len(message).to_bytes(4, "big") + message + self._app_id
        missing = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher.encryptor()
        encrypted = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
        return base64.b64encode(encrypted).decode("ascii")


def _unpadded(plain: bytes) -> bytes:
    count = plain[-1]
    if not 1 <= count <= _BLOCK or plain[-count:] != bytes([count]) * count:
        raise BadEnvelope("bad padding")
    return plain[:-count]
