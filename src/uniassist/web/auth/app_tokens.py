"""Tokens of app users: JSON Web Tokens (RFC 7519), verified and read for who their user is, and until when."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from uniassist.errors import InvalidAppToken
from uniassist.web.auth.app_keys import AppKey

LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 8192
MAX_NAME_LENGTH = 256
SUBJECT = "sub"
# What PyJWT lets through of a token that is signed and yet absurd, beside its own errors.
_ABSURD = (ValueError, TypeError, OverflowError, RecursionError)


class _NoKey(InvalidAppToken):
    """None of the keys is the one that signed it."""


@dataclass(frozen=True)
class AppToken:
    """A good token. `subject`: whose it is; `user_id`: by which name; `expires_at`: Unix seconds."""

    subject: str
    user_id: str
    expires_at: float


class KeySet(Protocol):
    """Keys that change while the service runs."""

    async def keys(self) -> Sequence[AppKey]:
        """Those that are known. Unavailable while none ever were."""
        ...

    async def look_again(self) -> bool:
        """Whether there are others now. Looks no more often than it is worth, whoever asks."""
        ...


class AppTokens:
    """Verifies app tokens.

    `keys`: at all times; `key_set`: those that change.
    `issuer`, `audience`: None: not checked.
    `user_claim`: which claim is the userId.
    `longest_seconds`: a token that expires later than that from now is refused; 0: no limit.
    """

    def __init__(
        self,
        keys: Sequence[AppKey],
        *,
        key_set: KeySet | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        user_claim: str = SUBJECT,
        longest_seconds: float = 0,
    ) -> None:
        assert keys or key_set is not None, "no token could be good"
        self._keys = tuple(keys)
        self._key_set = key_set
        self._issuer = issuer
        self._audience = audience
        self._user_claim = user_claim
        self._longest_seconds = longest_seconds

    async def read(self, token: str | None) -> AppToken:
        """What a token says. InvalidAppToken says what is wrong with it, never what it holds; Unavailable."""
        if not token:
            raise InvalidAppToken("Authorization: expected Bearer and an app token")
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidAppToken(f"Authorization: at most {MAX_TOKEN_LENGTH} characters")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, *_ABSURD) as error:
            raise _refusal(error) from None
        claims = await self._claims(token, header)
        expires_at = _time(claims, "exp")
        if self._longest_seconds and expires_at > time.time() + self._longest_seconds + LEEWAY_SECONDS:
            raise InvalidAppToken("Authorization: the token's exp is further off than is allowed here")
        return AppToken(_name(claims, SUBJECT), _name(claims, self._user_claim), expires_at)

    async def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Verified by a key of ours, or by one of the set's, which is looked at again when none is right."""
        try:
            return self._verified_by_any(token, _fitting(self._keys, header))
        except _NoKey:
            if self._key_set is None:
                raise
        try:
            return self._verified_by_any(token, _fitting(await self._key_set.keys(), header))
        except _NoKey:
            if not await self._key_set.look_again():
                raise
        return self._verified_by_any(token, _fitting(await self._key_set.keys(), header))

    def _verified_by_any(self, token: str, candidates: Sequence[AppKey]) -> dict[str, Any]:
        reason = "no key here fits it"
        for key in candidates:
            try:
                return self._verified(token, key)
            except jwt.InvalidSignatureError as error:
                reason = type(error).__name__
            except (jwt.PyJWTError, *_ABSURD) as error:
                raise _refusal(error) from None
        raise _NoKey(f"Authorization: not a valid token ({reason})")

    def _verified(self, token: str, key: AppKey) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.material,
            algorithms=list(key.algorithms),
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", SUBJECT, self._user_claim], "verify_aud": self._audience is not None},
        )
        return claims


def _fitting(keys: Sequence[AppKey], header: Mapping[str, Any]) -> list[AppKey]:
    return [key for key in keys if key.fits(header.get("alg"), header.get("kid"))]


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if not isinstance(value, bool) and isinstance(value, int | float):
        with contextlib.suppress(OverflowError):  # an integer of hundreds of digits is as far off as infinity
            if math.isfinite(value):
                return float(value)
    raise InvalidAppToken(f"Authorization: the token's {name} must be a number of seconds")


def _name(claims: Mapping[str, Any], claim: str) -> str:
    """A name that can be stored and sent as it is."""
    value = claims[claim]
    if isinstance(value, str) and 1 <= len(value) <= MAX_NAME_LENGTH and "\0" not in value and _is_unicode(value):
        return value
    raise InvalidAppToken(
        f"Authorization: the token's {claim} must be 1 to {MAX_NAME_LENGTH} characters that can be stored"
    )


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can write
        return False
    return True


def _refusal(error: Exception) -> InvalidAppToken:
    match error:
        case jwt.ExpiredSignatureError():
            return InvalidAppToken("Authorization: the token has expired")
        case jwt.MissingRequiredClaimError():
            return InvalidAppToken(f"Authorization: the token lacks {error.claim}")
        case _:
            return InvalidAppToken(f"Authorization: not a valid token ({type(error).__name__})")


def user_in(token: str, claim: str) -> str | None:
    """The userId that a token lets its holder use, as the holder may read it: unverified. None: it says none."""
    try:
        found = jwt.decode(token, options={"verify_signature": False}).get(claim)
    except (jwt.PyJWTError, *_ABSURD):
        return None
    return found if isinstance(found, str) else None
