"""The platform's signatures and encryption, written from its documentation and not from the adapter's code."""

from __future__ import annotations

import base64
import hashlib
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7


def sign(*parts: str) -> str:
    joined = "".join(sorted(parts)).encode("utf-8")
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


class Seal:
    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        self._key = base64.b64decode(f"{encoding_aes_key}=")
        self._app_id = app_id.encode("ascii")

    def close(self, message: bytes, random: bytes | None = None) -> str:
        whole = (random or os.urandom(16)) + struct.pack(">I", len(message)) + message + self._app_id
        padder = PKCS7(256).padder()
        encryptor = self._cipher().encryptor()
        padded = padder.update(whole) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode("ascii")

    def open(self, sealed: str) -> bytes:
        """ValueError when it isn't sealed under this key for this app."""
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
        unpadder = PKCS7(256).unpadder()
        whole = unpadder.update(padded) + unpadder.finalize()
        (length,) = struct.unpack_from(">I", whole, 16)
        message, app_id = whole[20 : 20 + length], whole[20 + length :]
        if app_id != self._app_id:
            raise ValueError(f"sealed for {app_id!r}")
        return message

    def _cipher(self) -> Cipher[CBC]:
        return Cipher(AES256(self._key), CBC(self._key[:16]))
