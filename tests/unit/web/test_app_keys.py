"""Key settings: a good one is told by what it is; others are refused in one sentence that shows none of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from uniassist.errors import SettingsError
from uniassist.web.auth.app_keys import UnusableKey, from_set, from_setting

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(PEM, SPKI)
    return text.decode()


def private_pem(key: Any, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> str:
    text: bytes = key.private_bytes(PEM, form, serialization.NoEncryption())
    return text.decode()


def der(key: Any, form: serialization.PublicFormat = SPKI) -> bytes:
    packed: bytes = key.public_key().public_bytes(DER, form)
    return packed


@pytest.mark.parametrize(
    ("value", "algorithm"),
    [
        (pem(RSA), "RS256"),
        (pem(RSA).replace("\n", "\\n"), "PS256"),
        (f"\n{pem(EC)}\n", "ES256"),
        (pem(ED), "EdDSA"),
        (RSA.public_key().public_bytes(PEM, PKCS1).decode(), "RS256"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "ES384"),
        ("k" * 32, "HS256"),
        (base64.b64encode(bytes(range(48))).decode(), "HS256"),
    ],
)
def test_a_good_key_says_what_it_is_good_for(value: str, algorithm: str) -> None:
    key = from_setting("KEY", value)
    assert algorithm in key.algorithms
    assert ("HS256" in key.algorithms) == (algorithm == "HS256"), "a public key is no secret"
    assert value.strip() not in repr(key)


JWK = RSAAlgorithm.to_jwk(RSA.public_key())
# Made once for all: to find its primes takes seconds.
DSA = """-----BEGIN PUBLIC KEY-----
MIIBtjCCASsGByqGSM44BAEwggEeAoGBAKmKDrw7iTN/utHNgfxIhS7VAqohoX4Z
DEQd76WZEE88AFvhjA8CDWs5NChjgj5XRWOHjCHfnncjLGCh/0cxgWOlWBg1S+xF
13ZtwSQGcToUadPJ5WencWsiEF0R7rLiZ3TIvL2qqPzWVj6FxJto1Q5BD6S1p7hE
P+VRlPFrl6otAhUAx3ztyFt9LcCxigpQSxBH4envysECgYBPWWy8V5VsdEKlcCEy
Rgxw/XavCQjwDcsWiBUtfWyvXtOSRDf600DArQ4mQBf8NmNL3u9PSV/WhyTwY/7J
M50zQ/VvxPnfBOSguTjEZGSfh99TqPWNc0nXvYe8wV5sLx2RCrL2xfRXWANxzB9h
xLMzJrFxmEHAW9hTRpgJsXR7nwOBhAACgYBHTUA0AGoC3zr9GiyakI9Jw/35MIUY
291YOr/mt2uLWPlswkOuZ+4apSJ/VIa060wJe56vnQl3dwM8D+xN7KHQRSl9RDPl
0H3BT57OxRaXZx2B8VRPwQgB7HILEpzVIY6Y/zWt4tNXOW+HvQ4/EvrjlVMxP728
8Kx/now8L8Gu/Q==
-----END PUBLIC KEY-----
"""
BAD = {
    "short": ("hunter2", "too short"),
    "half of a PEM": (pem(RSA)[:120], "no whole"),
    "its first line": ("-----BEGIN PUBLIC KEY-----", "no whole"),
    "without its dashes": (pem(RSA).replace("-----BEGIN", "----BEGIN"), "no whole"),
    "garbage in PEM": ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no whole"),
    "text before it": (f"key: {pem(RSA)[:200]}", "no whole"),
    "private": (private_pem(RSA), "private"),
    "private, Ed25519": (private_pem(ED), "private"),
    "private, SEC 1": (private_pem(EC, serialization.PrivateFormat.TraditionalOpenSSL), "private"),
    "certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate"),
    "base64": (base64.b64encode(der(RSA)).decode(), "without its lines"),
    "base64 in lines": (pem(RSA).split("-----")[2].strip(), "without its lines"),
    "base64 in lines, escaped": (pem(RSA).split("-----")[2].strip().replace("\n", "\\n"), "without its lines"),
    "base64url": (base64.urlsafe_b64encode(der(EC)).rstrip(b"=").decode(), "without its lines"),
    "the first line of base64": (base64.b64encode(der(RSA)).decode()[:64], "without its lines"),
    "base64, Ed25519": (base64.b64encode(der(ED)).decode(), "without its lines"),
    "base64, PKCS 1": (base64.b64encode(der(RSA, PKCS1)).decode(), "without its lines"),
    "base64, private": ("".join(private_pem(EC).split("-----")[2].split()), "without its lines"),
    "hex": (der(EC).hex(), "without its lines"),
    "JWK": (JWK, "JSON Web Key"),
    "JWKS": (json.dumps({"keys": [json.loads(JWK)]}), "JSON Web Key"),
    "SSH": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqt you@host", "SSH"),
    "small RSA": (pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "2048"),
    "DSA": (DSA, "kind"),
    "Ed448": (pem(ed448.Ed448PrivateKey.generate()), "kind"),
    "another curve": (pem(ec.generate_private_key(ec.SECP256K1())), "kind"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_other_setting_is_refused_and_not_shown(name: str) -> None:
    value, said = BAD[name]
    with pytest.raises(SettingsError, match=r"^UNIASSIST_APP_JWT_KEY: .*; expected a public key in PEM") as caught:
        from_setting("UNIASSIST_APP_JWT_KEY", value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert value[:60] not in str(caught.value)


def jwk(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (json.loads(JWK) | changed).items() if value is not None}


def test_a_sets_keys_are_taken_by_what_they_are() -> None:
    ec_key, ed_key = ECAlgorithm.to_jwk(EC.public_key()), OKPAlgorithm.to_jwk(ED.public_key())
    described = [jwk(kid="1"), jwk(alg="RS256", use="sig"), json.loads(ec_key), json.loads(ed_key)]
    keys, refused = from_set({"keys": described})
    assert refused == ()
    assert [key.key_id for key in keys] == ["1", None, None, None]
    assert [key.algorithms[0] for key in keys] == ["RS256", "RS256", "ES256", "EdDSA"]
    assert keys[1].algorithms == ("RS256",)


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256"},
        json.loads(RSAAlgorithm.to_jwk(RSA)),
        jwk(kid=7),
        jwk(n=None),
        jwk(n="!!"),
        jwk(kty="EC", crv="secp256k1"),
        jwk(key_ops=["verify"], kty="RSA", n="AQAB"),
        "text",
        None,
    ],
)
def test_a_key_that_is_secret_or_broken_spoils_no_other(bad: Any) -> None:
    keys, refused = from_set({"keys": [bad, jwk(kid="good")]})
    assert ([key.key_id for key in keys], len(refused)) == (["good"], 1)


def test_keys_for_something_else_are_passed_over() -> None:
    keys, refused = from_set({"keys": [jwk(use="enc"), jwk(key_ops=["encrypt"]), jwk(alg="HS256", kid="h")]})
    assert refused == ()
    assert [key.algorithms for key in keys] == [()], "of an RSA key, HS256 is nothing"


@pytest.mark.parametrize("document", [None, [], "keys", {"keys": "text"}, {"keys": {}}, {}])
def test_what_is_no_set_is_refused(document: Any) -> None:
    with pytest.raises(UnusableKey):
        from_set(document)
