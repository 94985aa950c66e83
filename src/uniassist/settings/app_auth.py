"""What app tokens are checked with."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from uniassist.errors import SettingsError
from uniassist.settings.reader import Reader, Secret

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class AppAuthSettings:
    """`keys`: by the variables that hold them; `key_set`: a file's path or a URL. There is one of the two at least.

    `issuer`, `audience`: None: any. `longest_hours`: 0: no limit.
    """

    keys: dict[str, Secret]
    key_set: Secret | None
    issuer: str | None
    audience: str | None
    user_claim: str
    longest_hours: int

    @classmethod
    def read(cls, reader: Reader) -> AppAuthSettings | None:
        """None: apps need no token, which outside dev and test must be said."""
        name = "UNIASSIST_APP_AUTH"
        if (reader.choice(name) if reader.strict or reader.optional(name) else "off") == "off":
            return None
        key_set = _key_set(reader)
        current = reader.optional_secret("UNIASSIST_APP_JWT_KEY")
        if current is None and key_set is None:
            current = reader.secret("UNIASSIST_APP_JWT_KEY")  # says that it is missing
        found = {
            "UNIASSIST_APP_JWT_KEY": current,
            "UNIASSIST_APP_JWT_KEY_PREVIOUS": reader.optional_secret("UNIASSIST_APP_JWT_KEY_PREVIOUS"),
        }
        return cls(
            keys={variable: key for variable, key in found.items() if key is not None},
            key_set=key_set,
            issuer=reader.optional("UNIASSIST_APP_JWT_ISSUER"),
            audience=reader.optional("UNIASSIST_APP_JWT_AUDIENCE"),
            user_claim=reader.text("UNIASSIST_APP_JWT_USER_CLAIM"),
            longest_hours=reader.integer("UNIASSIST_APP_JWT_MAX_HOURS"),
        )


def _key_set(reader: Reader) -> Secret | None:
    name = "UNIASSIST_APP_JWT_JWKS"
    value = reader.optional(name)
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        raise SettingsError(f"{name}: expected a file's path or an https URL") from None
    is_file = parts.scheme == "" and parts.netloc == "" and not value.startswith(("{", "[", "-----"))
    is_url = bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and (not reader.strict or host in _LOOPBACK))
    )
    if not is_file and not is_url:
        # Whoever is on the way could put in keys of his own.
        raise SettingsError(f"{name}: expected a file's path or an https URL")
    return Secret(value)
