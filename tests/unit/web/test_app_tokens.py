"""App tokens: only those that our keys signed, that haven't expired, and that say whose they are."""

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

from uniassist.errors import InvalidAppToken
from uniassist.web.auth.app_keys import AppKey, from_setting
from uniassist.web.auth.app_tokens import AppTokens

KEY = "k" * 32


def token(key: Any = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {"sub": "anna", "exp": time.time() + 86_400} | changed
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers=headers)


def tokens(*keys: str, **settings: Any) -> AppTokens:
    return AppTokens([from_setting("KEY", key) for key in keys or (KEY,)], **settings)


def part(value: object) -> str:
    return part_of(json.dumps(value))


def part_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def sealed(claims: str, header: str = '{"alg":"HS256","typ":"JWT"}') -> str:
    """A good signature over whatever the parts hold."""
    signed = f"{part_of(header)}.{part_of(claims)}"
    digest = hmac.new(KEY.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


async def test_what_a_good_token_says() -> None:
    found = await tokens().read(token(exp=int(time.time()) + 100))
    assert (found.subject, found.user_id) == ("anna", "anna")
    assert found.expires_at == pytest.approx(time.time() + 100, abs=5)


LATER = int(time.time()) + 86_400
BAD = {
    "none": (None, "expected Bearer"),
    "empty": ("", "expected Bearer"),
    "nonsense": ("nonsense", "not a valid token"),
    "too long": ("x" * 9000, "at most"),
    "of another key": (token(key="z" * 32), "InvalidSignatureError"),
    "expired": (token(exp=time.time() - 3600), "expired"),
    "for ever": (token(exp=None), "lacks exp"),
    "nobody's": (token(sub=None), "lacks sub"),
    "empty sub": (token(sub=""), "1 to 256"),
    "long sub": (token(sub="a" * 257), "1 to 256"),
    "another algorithm": (token(algorithm="HS512", key="k" * 64), "not a valid token"),
    "unsigned": (f"{part({'alg': 'none'})}.{part({'sub': 'anna', 'exp': LATER})}.", "not a valid token"),
    "half a surrogate": (sealed(f'{{"sub":"\\ud800","exp":{LATER}}}'), "stored"),
    "NUL": (sealed(f'{{"sub":"a\\u0000b","exp":{LATER}}}'), "stored"),
    "sub is a number": (sealed(f'{{"sub":7,"exp":{LATER}}}'), "not a valid token"),
    "endless exp": (sealed('{"sub":"anna","exp":1e999}'), "not a valid token"),
    "exp is no number": (sealed('{"sub":"anna","exp":"tomorrow"}'), "not a valid token"),
    "exp in text": (sealed(f'{{"sub":"anna","exp":"{LATER}"}}'), "number"),
    "exp is true": (sealed('{"sub":"anna","exp":true}'), "expired"),
    "exp is NaN": (sealed('{"sub":"anna","exp":NaN}'), "not a valid token"),
    "endless nbf": (sealed(f'{{"sub":"anna","exp":{LATER},"nbf":1e999}}'), "not a valid token"),
    "deep claims": (sealed('{"sub":' + "[" * 3000 + "]" * 3000 + "}"), "not a valid token"),
    "deep header": (sealed("{}", '{"alg":' + "[" * 3000 + "]" * 3000 + "}"), "not a valid token"),
    "claims are a list": (sealed("[1]"), "not a valid token"),
    "kid is a list": (sealed(f'{{"sub":"anna","exp":{LATER}}}', '{"alg":"HS256","kid":[1]}'), "not a valid token"),
    "critical": (
        sealed(f'{{"sub":"anna","exp":{LATER}}}', '{"alg":"HS256","crit":["b64"],"b64":false}'),
        "not a valid",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_every_other_token_is_refused_and_said_why(name: str) -> None:
    bad, said = BAD[name]
    with pytest.raises(InvalidAppToken) as caught:
        await tokens().read(bad)
    assert said in caught.value.detail
    assert KEY not in caught.value.detail


async def test_eight_kibibytes_are_no_fault() -> None:
    assert (await tokens().read(token(padding="x" * 5000))).subject == "anna"


async def test_issuer_and_audience_are_checked_when_they_are_named() -> None:
    strict = tokens(issuer="us", audience="app")
    assert (await strict.read(token(iss="us", aud="app"))).subject == "anna"
    for wrong in (token(iss="them", aud="app"), token(iss="us", aud="other"), token(iss="us")):
        with pytest.raises(InvalidAppToken):
            await strict.read(wrong)


async def test_a_far_exp_is_refused_where_it_is_bounded() -> None:
    bounded = tokens(longest_seconds=3600)
    assert (await bounded.read(token(exp=time.time() + 3600))).subject == "anna"
    for far in (token(exp=time.time() + 3700), sealed('{"sub":"anna","exp":99999999999999999999}')):
        with pytest.raises(InvalidAppToken, match="further off"):
            await bounded.read(far)


async def test_the_user_is_what_the_named_claim_says() -> None:
    named = tokens(user_claim="uid")
    found = await named.read(token(uid="user-1"))
    assert (found.subject, found.user_id) == ("anna", "user-1")
    for bad in (token(), token(uid=7), token(uid=""), token(uid="\ud800")):
        with pytest.raises(InvalidAppToken, match="uid"):
            await named.read(bad)


async def test_two_keys_are_good_while_one_is_being_changed() -> None:
    both = tokens(KEY, "o" * 32)
    for key in (KEY, "o" * 32):
        assert (await both.read(token(key=key))).subject == "anna"
    with pytest.raises(InvalidAppToken, match="InvalidSignatureError"):
        await both.read(token(key="z" * 32))


async def test_a_public_key_takes_no_token_that_was_signed_with_it_as_a_secret() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    asymmetric = tokens(public.decode())
    assert (await asymmetric.read(token(key=private, algorithm="EdDSA"))).subject == "anna"
    header, claims, _ = token(key="x" * 32).split(".")
    forged = hmac.new(public, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    with pytest.raises(InvalidAppToken):
        await asymmetric.read(f"{header}.{claims}.{base64.urlsafe_b64encode(forged).rstrip(b'=').decode()}")


class Changing:
    """A set whose keys are others once it is looked at again."""

    def __init__(self, *sets: list[AppKey]) -> None:
        self.sets = list(sets)
        self.looks = 0

    async def keys(self) -> list[AppKey]:
        return self.sets[0]

    async def look_again(self) -> bool:
        self.looks += 1
        changed = len(self.sets) > 1
        self.sets = self.sets[-1:]
        return changed


@pytest.mark.parametrize("key_id", [None, "2"])
async def test_a_key_that_came_since_is_found_by_looking_again(key_id: str | None) -> None:
    old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    first, second = (AppKey(key.public_key(), ("EdDSA",), name) for key, name in ((old, "1"), (new, "2")))
    rotating = Changing([first], [second])
    both = AppTokens([], key_set=rotating)
    headers = {"kid": key_id} if key_id else None
    shown = token(key=new, algorithm="EdDSA", headers=headers)
    assert (await both.read(shown)).subject == "anna"
    assert (await both.read(shown)).subject == "anna"
    assert rotating.looks == 1, "only once nothing that is known fits"
    with pytest.raises(InvalidAppToken):
        await both.read(token(key=old, algorithm="EdDSA", headers={"kid": "1"}))
