"""App tokens: only those that our key signed, that haven't expired, and that say whose they are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from uniassist.errors import InvalidAppToken, SettingsError
from uniassist.web.app_tokens import AppTokens

KEY = "k" * 32


def token(key: str | bytes = KEY, algorithm: str = "HS256", **changed: Any) -> str:
    claims = {"sub": "anna", "exp": time.time() + 86_400} | changed
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm)


def test_the_subject_of_a_good_token() -> None:
    assert AppTokens(KEY).subject(token()) == "anna"


def unsigned() -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'anna', 'exp': time.time() + 86_400})}."


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (None, "expected Bearer"),
        ("", "expected Bearer"),
        ("nonsense", "not a valid token"),
        ("x" * 9000, "at most"),
        (token(key="z" * 32), "InvalidSignatureError"),
        (token(exp=time.time() - 3600), "expired"),
        (token(exp=None), "lacks exp"),
        (token(sub=None), "lacks sub"),
        (token(sub=""), "1 to 256"),
        (token(sub="a" * 257), "1 to 256"),
        (token(algorithm="HS512", key="k" * 64), "not a valid token"),
        (unsigned(), "not a valid token"),
    ],
    ids=[f"bad-{number}" for number in range(12)],
)
def test_every_other_token_is_refused_and_said_why(bad: str | None, said: str) -> None:
    with pytest.raises(InvalidAppToken) as caught:
        AppTokens(KEY).subject(bad)
    assert said in caught.value.detail
    assert KEY not in caught.value.detail


def test_issuer_and_audience_are_checked_when_they_are_named() -> None:
    tokens = AppTokens(KEY, issuer="us", audience="app")
    assert tokens.subject(token(iss="us", aud="app")) == "anna"
    for wrong in (token(iss="them", aud="app"), token(iss="us", aud="other"), token(iss="us")):
        with pytest.raises(InvalidAppToken):
            tokens.subject(wrong)


def test_a_public_key_takes_no_token_that_was_signed_with_it_as_a_secret() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tokens = AppTokens(public.decode())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert tokens.subject(token(key=pem, algorithm="EdDSA")) == "anna"
    header, claims, _ = token(key="x" * 32).split(".")
    forged = hmac.new(public, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    with pytest.raises(InvalidAppToken):
        tokens.subject(f"{header}.{claims}.{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}")


def test_a_short_secret_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="UNIASSIST_APP_JWT_KEY"):
        AppTokens("short")
