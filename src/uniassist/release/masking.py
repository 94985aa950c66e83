"""Secrets out of every text that leaves the tool: raw, URL-encoded, escaped and base64."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "***"
_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*://[^\s/:@'\"]*):[^\s/@'\"]+@", re.IGNORECASE)
_SHORT = 8
_LONG_LINE = 16
# As passwords of URLs these can't be told from the product's own words; they are masked inside URLs only.
_PUBLIC_WORDS = frozenset({"postgres", "postgresql", "redis", "uniassist", "password", "staging", "test", "true"})


class Masker:
    """`secrets`: values that are secret as a whole; `urls`: values of which only the password is."""

    def __init__(self, secrets: Iterable[str] = (), urls: Iterable[str] = ()) -> None:
        self._forms: list[re.Pattern[str]] = []
        passwords = (password for url in urls for password in passwords_of(url))
        forms = {form for secret in (*secrets, *passwords) if len(secret) >= 3 for form in forms_of(secret)}
        for form in sorted(forms, key=len, reverse=True):  # the longest first: one may hold another
            self._forms.append(re.compile(_alone(form) if len(form) < _SHORT else re.escape(form)))

    def __call__(self, text: str) -> str:
        masked = _USERINFO.sub(rf"\1:{MASK}@", text)
        for form in self._forms:
            masked = form.sub(MASK, masked)
        return masked

    def document(self, value: Any) -> Any:
        """The same of every text in a JSON document."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self.document(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(item) for item in value]
        return value


def passwords_of(url: str) -> list[str]:
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return [url]  # no URL: nobody knows which part is the secret
    return [form for form in (password, unquote(password)) if form.lower() not in _PUBLIC_WORDS]


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
