"""Tokens of app users: JSON Web Tokens (RFC 7519), verified, read for their subject. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import jwt

from uniassist.errors import InvalidAppToken, SettingsError

LEEWAY_SECONDS = 30
# By the kind of key that is configured, so that a token can't choose how it is checked (RFC 8725, 3.1).
_SYMMETRIC = ("HS256",)
_ASYMMETRIC = ("RS256", "PS256", "ES256", "EdDSA")
_PEM = "-----BEGIN "
MAX_TOKEN_LENGTH = 8192


@dataclass(frozen=True)
class AppTokens:
    """`key`: a shared secret, or a public key in PEM. `issuer`, `audience` None: not checked."""

    key: str
    issuer: str | None = None
    audience: str | None = None

    def __post_init__(self) -> None:
        if not self.key.startswith(_PEM) and len(self.key) < 32:
            raise SettingsError("UNIASSIST_APP_JWT_KEY: expected a public key in PEM, or at least 32 characters")

    def subject(self, token: str | None) -> str:
        """Whose token it is. InvalidAppToken says what is wrong with it, never what it holds."""
        if not token:
            raise InvalidAppToken("Authorization: expected Bearer and an app token")
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidAppToken(f"Authorization: at most {MAX_TOKEN_LENGTH} characters")
        try:
            claims = jwt.decode(
                token,
                self.key,
                algorithms=list(_ASYMMETRIC if self.key.startswith(_PEM) else _SYMMETRIC),
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub"], "verify_aud": self.audience is not None},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidAppToken("Authorization: the token has expired") from None
        except jwt.MissingRequiredClaimError as error:
            raise InvalidAppToken(f"Authorization: the token lacks {error.claim}") from None
        except jwt.PyJWTError as error:
            raise InvalidAppToken(f"Authorization: not a valid token ({type(error).__name__})") from None
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= 256 or "\0" in subject:
            raise InvalidAppToken("Authorization: the token's sub must be 1 to 256 characters")
        return subject
