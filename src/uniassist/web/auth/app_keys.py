"""Keys that app tokens are checked with, and which algorithms each is good for: told by the key, never by a token.

(RFC 8725, 3.1 and 3.2.) A setting that isn't what it should be is refused with one sentence: half a key pasted, a
private one, or a public one that would be taken for a secret that everybody knows.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from uniassist.errors import SettingsError

MAX_KEYS = 16
MIN_SECRET_CHARACTERS = 32
MIN_RSA_BITS = 2048
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_EXPECTED = f"a public key in PEM, or a shared secret of at least {MIN_SECRET_CHARACTERS} characters"
# Of PEM (RFC 7468), with dashes missing too: whoever pasted half of it didn't mean a secret.
_MARK = re.compile(r"(BEGIN|END) [A-Z0-9 ]*(KEY|CERTIFICATE)|-----")
_SSH = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")
# What every key in DER names near its beginning: rsaEncryption, RSASSA-PSS, ecPublicKey, Ed25519, Ed448 (RFC 5280).
_KEY_KINDS = tuple(
    bytes.fromhex(oid) for oid in ("2a864886f70d010101", "2a864886f70d01010a", "2a8648ce3d0201", "2b6570", "2b6571")
)
_DER_HEAD_BYTES = 48

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class UnusableKey(Exception):
    """Says what is wrong with a key, never what it holds."""


@dataclass(frozen=True)
class AppKey:
    """`key_id`: the `kid` that tokens name it by; None: they don't."""

    material: PublicKey | str = field(repr=False)
    algorithms: tuple[str, ...]
    key_id: str | None = None

    def fits(self, algorithm: object, key_id: object) -> bool:
        return algorithm in self.algorithms and (self.key_id is None or key_id is None or key_id == self.key_id)


def from_setting(variable: str, value: str) -> AppKey:
    """The key that a setting holds. SettingsError names the variable."""
    try:
        return _parsed(value.strip())
    except UnusableKey as error:
        raise SettingsError(f"{variable}: {error}; expected {_EXPECTED}") from None


def from_set(document: object) -> tuple[tuple[AppKey, ...], tuple[str, ...]]:
    """A JSON Web Key Set's (RFC 7517) usable keys, and why each of the others isn't. UnusableKey: it is none."""
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, Sequence) or isinstance(keys, str):
        raise UnusableKey("is no JSON Web Key Set: an object with keys")
    usable, refused = list[AppKey](), list[str]()
    for number, described in enumerate(keys[: 4 * MAX_KEYS]):
        try:
            key = _from_jwk(described)
        except UnusableKey as error:
            refused.append(f"keys[{number}] {error}")
        else:
            if key is not None:
                usable.append(key)
    return tuple(usable[:MAX_KEYS]), tuple(refused)


def _parsed(value: str) -> AppKey:
    if _MARK.search(value):
        return _asymmetric(_from_pem(value.replace("\\n", "\n")))
    if value.startswith(_SSH):
        raise UnusableKey("is a key of SSH's")
    if value.startswith(("{", "[")) and _is_json(value):
        raise UnusableKey("is a JSON Web Key, which UNIASSIST_APP_JWT_JWKS takes")
    if _is_bare_key(value):
        raise UnusableKey("is a key without its lines -----BEGIN and -----END")
    if len(value) < MIN_SECRET_CHARACTERS:
        raise UnusableKey("is too short")
    return AppKey(value, ("HS256",))


def _from_pem(value: str) -> object:
    if "PRIVATE KEY" in value:
        raise UnusableKey("is a private key, which belongs to whoever signs the tokens")
    if "CERTIFICATE" in value:
        raise UnusableKey("is a certificate, or a request for one")
    try:
        return serialization.load_pem_public_key(value.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("is no whole public key in PEM") from None


def _asymmetric(key: object, key_id: str | None = None, algorithm: str | None = None) -> AppKey:
    algorithms: tuple[str, ...]
    match key:
        case rsa.RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise UnusableKey(f"is an RSA key of fewer than {MIN_RSA_BITS} bits")
        case rsa.RSAPublicKey():
            algorithms = _RSA
        case ec.EllipticCurvePublicKey() if key.curve.name in _BY_CURVE:
            algorithms = _BY_CURVE[key.curve.name]
        case ed25519.Ed25519PublicKey():
            algorithms = ("EdDSA",)
        case _:
            raise UnusableKey("is of no kind that is taken (RSA, EC on P-256, P-384 or P-521, Ed25519)")
    if algorithm is not None:
        algorithms = tuple(each for each in algorithms if each == algorithm)
    return AppKey(key, algorithms, key_id)


def _from_jwk(described: object) -> AppKey | None:
    """None: it is for something else than signatures."""
    if not isinstance(described, Mapping):
        raise UnusableKey("is no object")
    if described.get("kty") == "oct" or "d" in described or "k" in described:
        raise UnusableKey("is secret, which a key set must not be")
    if described.get("use", "sig") != "sig" or "verify" not in (described.get("key_ops") or ["verify"]):
        return None
    key_id, algorithm = described.get("kid"), described.get("alg")
    if not isinstance(key_id, str | None) or not isinstance(algorithm, str | None):
        raise UnusableKey("has a kid or an alg that is no text")
    try:
        # Any algorithm of its kind: which ones it is good for is told by the key below.
        material: Any = jwt.PyJWK(dict(described) | {"alg": _any_algorithm(described)}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise UnusableKey("can't be read") from None
    return _asymmetric(material, key_id, algorithm)


def _any_algorithm(described: Mapping[str, Any]) -> str:
    kind, curve = described.get("kty"), described.get("crv")
    by_curve = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    if kind == "RSA":
        return "RS256"
    if kind == "EC" and curve in by_curve:
        return by_curve[curve]
    if kind == "OKP" and curve == "Ed25519":
        return "EdDSA"
    raise UnusableKey("is of no kind that is taken (RSA, EC on P-256, P-384 or P-521, Ed25519)")


def _is_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_bare_key(value: str) -> bool:
    """Whether it is DER, or its beginning, in base64 or hex: what is left of a PEM file without its marks."""
    packed = "".join(value.split()).replace("\\n", "")
    candidates = []
    for decode, length in ((_base64, len(packed) // 4 * 4), (_base64url, len(packed) // 4 * 4)):
        candidates.append(decode(packed[:length]))
    candidates.append(_hex(packed[: len(packed) // 2 * 2]))
    return any(
        der[:1] == b"\x30" and any(kind in der[:_DER_HEAD_BYTES] for kind in _KEY_KINDS) for der in candidates
    ) or any(_loads(der) for der in candidates)


def _loads(der: bytes) -> bool:
    """Whether it is a key of a kind that names itself nowhere near its beginning (PKCS #1, SEC 1)."""
    if der[:1] != b"\x30":
        return False
    try:
        serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        try:
            serialization.load_der_private_key(der, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False
    return True


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _base64url(text: str) -> bytes:
    return _base64(text.replace("-", "+").replace("_", "/"))


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
