"""Strict reading of environment variables: a value that can't be parsed is an error, never a default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from uniassist.errors import SettingsError
from uniassist.settings import postgres_url, redis_url, secret_files
from uniassist.settings.masking import MASK, mask_url
from uniassist.settings.urls import raw_character
from uniassist.settings.variable import Variable
from uniassist.settings.variables import variable_named

# `.example` is reserved for documentation (RFC 2606), so no real host ends in it.
_PLACEHOLDER = re.compile(
    r"change[-_ ]?me|place[-_ ]?holder|^<.*>$|^\.\.\.$|^x{3,}$|^todo\b|your[-_ ]|^password$|:password@|\.example\b",
    re.IGNORECASE,
)
_MIN_SECRET_LENGTH = 16
_MANY_HOSTS = 16
_LONGEST_SHOWN = 15  # a longer value could be a secret that belongs to another variable
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


class Secret:
    """Text that must not be shown: `str` and `repr` mask it, `reveal()` gives it to the one who needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def is_placeholder(value: str) -> bool:
    """Whether an operator forgot to replace an example's value."""
    return _PLACEHOLDER.search(value.strip()) is not None


class Reader:
    """Reads known variables out of `environ`; an unknown name is a bug, an empty value counts as unset.

    A secret may come as a file's path, in NAME_FILE.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.env = self.choice("UNIASSIST_ENV")

    @property
    def environ(self) -> Mapping[str, str]:
        return self._environ

    @property
    def strict(self) -> bool:
        """Outside dev and test: no placeholder passes, no secret is weak."""
        return self.env not in ("dev", "test")

    def optional(self, name: str) -> str | None:
        variable = variable_named(name)
        given = secret_files.value_of(self._environ, name) if variable.secret else self._environ.get(name, "")
        value = given.strip() or variable.default
        if value is None:
            return None
        if self.is_strict_about(variable) and is_placeholder(value):
            raise SettingsError(f"{name}: still a placeholder; set it to {variable.expected()}")
        return value

    def is_strict_about(self, variable: Variable) -> bool:
        return variable.name != "UNIASSIST_ENV" and self.strict

    def text(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise SettingsError(f"{name}: required, but not set; expected {variable_named(name).expected()}")
        return value

    def secret(self, name: str) -> Secret:
        value = self.text(name)
        self._check_strength(name, value)
        return Secret(value)

    def optional_secret(self, name: str) -> Secret | None:
        value = self.optional(name)
        if value is None:
            return None
        self._check_strength(name, value)
        return Secret(value)

    def integer(self, name: str) -> int:
        value = self.optional_integer(name)
        if value is None:
            raise SettingsError(f"{name}: required, but not set; expected {variable_named(name).expected()}")
        return value

    def optional_integer(self, name: str) -> int | None:
        variable, value = variable_named(name), self.optional(name)
        if value is None:
            return None
        assert variable.low is not None
        assert variable.high is not None
        if not re.fullmatch(r"-?[0-9]{1,18}", value) or not variable.low <= int(value) <= variable.high:
            raise self._unparsable(variable, value)
        return int(value)

    def optional_boolean(self, name: str) -> bool | None:
        variable, value = variable_named(name), self.optional(name)
        if value is None:
            return None
        if value.lower() in _TRUE:
            return True
        if value.lower() in _FALSE:
            return False
        raise self._unparsable(variable, value)

    def choice(self, name: str) -> str:
        variable, value = variable_named(name), self.text(name)
        if value not in variable.choices:
            raise self._unparsable(variable, value)
        return value

    def items(self, name: str) -> list[str]:
        return [item.strip() for item in (self.optional(name) or "").split(",") if item.strip()]

    def chosen_items(self, name: str) -> list[str]:
        """One or more of the variable's choices."""
        variable, items = variable_named(name), self.items(name)
        if not items or not set(items) <= set(variable.choices):
            raise self._unparsable(variable, self.optional(name) or "")
        return items

    def optional_http_url(self, name: str) -> str | None:
        value = self.optional(name)
        return None if value is None else self._url(name, value, ("http", "https")).rstrip("/")

    def http_url(self, name: str) -> str:
        return self._url(name, self.text(name), ("http", "https")).rstrip("/")

    def database_url(self) -> Secret:
        schemes = ("postgresql", "postgres")
        value = self._url("DATABASE_URL", self.text("DATABASE_URL"), schemes, hosts=_MANY_HOSTS)
        postgres_url.parsed(value)
        return Secret(value)

    def redis_url(self) -> Secret:
        value = self.text("REDIS_URL")
        several = (*redis_url.SENTINEL_SCHEMES, *redis_url.CLUSTER_SCHEMES)
        many = _MANY_HOSTS if value.partition(":")[0] in several else 1
        self._url("REDIS_URL", value, redis_url.SCHEMES, hosts=many)
        redis_url.parsed(value)
        return Secret(value)

    def lanes(self) -> int | None:
        """Of the streams, whose names then have no brace of their own; None: REDIS_URL says nothing of any."""
        found = redis_url.parsed(self.redis_url().reveal()).lanes if self.optional("REDIS_URL") else None
        for name in ("UNIASSIST_STREAM_PREFIX", "UNIASSIST_STREAM_GLOBAL_KEY"):
            if found is not None and "{" in (self.optional(name) or ""):
                raise SettingsError(f"{name}: expected no brace, for the lanes of REDIS_URL have theirs in braces")
        return found

    def _url(self, name: str, value: str, schemes: tuple[str, ...], *, hosts: int = 1) -> str:
        """`hosts`: how many there may be, separated by commas."""
        if raw := raw_character(value):
            raise SettingsError(f"{name}: its password has a raw {raw}; write it as {quote(raw, safe='')}")
        try:
            parts = urlsplit(value)
            addresses = parts.netloc.rpartition("@")[2].split(",")
            ports = [urlsplit(f"//{address}").port for address in addresses]
        except ValueError:
            raise self._unparsable(variable_named(name), value) from None
        is_readable = len(addresses) <= hosts and all(port is None or port > 0 for port in ports)
        if parts.scheme not in schemes or not (parts.netloc or parts.path) or not is_readable:
            raise self._unparsable(variable_named(name), value)
        return value

    def _check_strength(self, name: str, value: str) -> None:
        # WECHAT_TOKEN is the operator's own choice on the platform's page: 3 to 32 characters.
        least = 3 if name == "WECHAT_TOKEN" else _MIN_SECRET_LENGTH
        if self.strict and len(value) < least:
            raise SettingsError(f"{name}: too short for {self.env}; expected at least {least} characters")

    @staticmethod
    def _unparsable(variable: Variable, value: str) -> SettingsError:
        if variable.kind == "url" and not variable.secret:
            shown = repr(mask_url(value))
        else:
            is_long = len(value) > _LONGEST_SHOWN and not value.isdigit()
            shown = MASK if variable.secret or is_long else repr(value)
        return SettingsError(f"{variable.name}: expected {variable.expected()}, got {shown}")
