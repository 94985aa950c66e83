"""Secrets out of every text that leaves a process: raw, URL-encoded, escaped and base64. The one place for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES

MASK = "***"
_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*://[^\s/:@'\"]*):[^\s/@'\"]+@", re.IGNORECASE)
# The login goes to the last @: people forget to quote what a password has.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<login>.*)@)?(?P<where>[^?#@]*)(?P<query>[?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_SHORT = 8
_LONG_LINE = 16
# As passwords of URLs these can't be told from the product's own words; they are masked inside URLs only.
_PUBLIC_WORDS = frozenset({"postgres", "postgresql", "redis", "uniassist", "password", "staging", "test", "true"})
# Values of URLs' parameters that say how to connect, and nothing else.
_PUBLIC_VALUES = frozenset(
    {
        "require",
        "verify-full",
        "verify-ca",
        "prefer",
        "prefer-standby",
        "disable",
        "required",
        "optional",
        "default",
    }
    | {"read-write", "read-only", "primary", "standby", "autocommit", "false", "application_name", "disabled"}
)
_SHORTEST_VALUE = 6
_NAME = re.compile("[A-Za-z_]*")  # a parameter's; what else stands there came by a slip
_TELLING_NAME = re.compile(r"pass|secret|token|key|auth|cred|sign", re.IGNORECASE)
# Whatever else the environment has, for other programs or by a slip.
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)


class Masker:
    """Takes secrets out of texts.

    secrets: values that are secret as a whole.
    urls: values of which only the password and the query are.
    """

    def __init__(self, secrets: Iterable[str] = (), urls: Iterable[str] = ()) -> None:
        parts = (part for url in urls for part in secrets_of(url))
        forms = {form for secret in (*secrets, *parts) if len(secret) >= 3 for form in forms_of(secret)}
        longest_first = sorted(forms, key=len, reverse=True)  # one may hold another
        patterns = [_alone(form) if len(form) < _SHORT else re.escape(form) for form in longest_first]
        self._forms = re.compile("|".join(patterns)) if patterns else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Masker) and other._forms == self._forms

    def __hash__(self) -> int:
        return hash(self._forms)

    def mask(self, text: str) -> str:
        masked = _USERINFO.sub(rf"\1:{MASK}@", text)
        return masked if self._forms is None else self._forms.sub(MASK, masked)

    def mask_document(self, value: Any) -> Any:
        """The same of every text in a JSON document."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {key: self.mask_document(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_document(item) for item in value]
        return value


def masker_of(values: Mapping[str, str]) -> Masker:
    """Of all that is secret in an environment: what the table of variables says, and what names give away."""
    urls = [value for name, value in values.items() if _kind(name) == "url"]
    whole = [value for name, value in values.items() if _kind(name) != "url" and _is_secret(name, value)]
    headers = values.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    whole += [unquote(pair.partition("=")[2].strip()) for pair in headers.split(",")]
    return Masker(whole, urls)


def _kind(name: str) -> str | None:
    return VARIABLES[name].kind if name in VARIABLES else None


def _is_secret(name: str, value: str) -> bool:
    if name in VARIABLES:
        return VARIABLES[name].secret
    return name.startswith(PROVIDER_TOKEN_PREFIX) or (bool(_SECRET_NAME.search(name)) and len(value) >= _SHORT)


def mask_url(url: str) -> str:
    """The URL with *** for its password and its query, if any. *** alone when nobody can say which is which."""
    found = _URL.fullmatch(url)
    if found is None or "@" in (found["query"] or "") or re.search("[?#]", found["login"] or ""):
        return MASK
    login = ""
    if found["login"] is not None:
        user, colon, _ = found["login"].partition(":")
        # Of a user without a password nobody knows whether it isn't one.
        login = f"{user}:{MASK}@" if colon else f"{MASK}@"
    query = f"?{MASK}" if found["query"] else ""
    return f"{found['scheme']}://{login}{found['where']}{query}"


def secrets_of(url: str) -> list[str]:
    """The password, and what the query's parameters say, each as it is written and as it is meant."""
    found = _URL.fullmatch(url)
    if found is None:
        return [url] if url.strip() else []  # no URL: nobody knows which part is the secret
    user, colon, password = (found["login"] or "").partition(":")
    if not colon and len(user) >= _SHORT:
        password = user
    query = re.split("[?#]", url, maxsplit=1)[1:]
    values = []
    for pair in re.split("[&;#?]", "".join(query)):
        name, equals, value = pair.partition("=")
        if _is_telling(name if equals else "", value if equals else name):
            values += [value or name, unquote_plus(value or name)]
        if equals and not _NAME.fullmatch(name):
            values += [name, unquote_plus(name)]
    forms = dict.fromkeys([password, unquote(password), *values])
    return [form for form in forms if form and form.lower() not in _PUBLIC_WORDS]


def _is_telling(name: str, value: str) -> bool:
    if _TELLING_NAME.search(name):
        return bool(value)
    return len(value) >= _SHORTEST_VALUE and not value.isdigit() and value.lower() not in _PUBLIC_VALUES


def _alone(form: str) -> str:
    """Not as a part of a word: a short secret could be a part of any."""
    before = r"(?<!\w)" if re.match(r"\w", form) else ""
    after = r"(?!\w)" if re.search(r"\w$", form) else ""
    return f"{before}{re.escape(form)}{after}"


def forms_of(secret: str) -> Iterator[str]:
    """All that a secret may look like in a text. The lines of a long one (PEM) are secrets of their own."""
    lines = [line.strip() for line in secret.splitlines()]
    for part in {secret, *(line for line in lines if len(line) >= _LONG_LINE and not line.startswith("-----"))}:
        yield from _forms(part)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    raw = secret.encode("utf-8", "surrogateescape")
    for before in range(3):  # as a part of something longer it starts at one of three positions
        encoded = _inner_base64(raw, before)
        if len(encoded) >= 6:
            yield encoded
            yield encoded.replace("+", "-").replace("/", "_")


def _inner_base64(raw: bytes, before: int) -> str:
    """The characters that `raw` alone decides when `before` bytes (mod 3) come ahead of it."""
    encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
    first = -(-before * 8 // 6)
    last = (before + len(raw)) * 8 // 6
    return encoded[first:last]
