"""The one decode function of every service: all that the contract says of a JSON body, in one place."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from uniassist.errors import InvalidRequest, PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
MAX_NESTING = 64
# Postgres writes numbers out, 1e308 with 309 digits: so many may the exponents of a body stand for.
MAX_WRITTEN_DIGITS = 64 * 1024

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
# Possessive, and at the end of the text as well: an unterminated string is passed over once, not from each quote.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_EXPONENT = re.compile(rb"[0-9.][eE][+-]?([0-9]+)")
_BRACKET = re.compile(rb"[\[\]{}]")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    return _encoder.encode(value)


def decode(raw: bytes, shape: type[T], *, nesting: int = MAX_NESTING, limit_bytes: int = MAX_BODY_BYTES) -> T:
    """Read `raw` as `shape` or raise InvalidRequest that names the field and what was expected.

    More `nesting` and bytes are for who gets a body of the contract's wrapped in another.
    """
    check_text(raw, nesting=nesting, limit_bytes=limit_bytes)
    try:
        return cast(T, _decoder(cast(Hashable, shape)).decode(raw))
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidRequest(describe(error)) from None


def convert(value: object, shape: type[T]) -> T:
    """As `decode`, for a part that is already parsed."""
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidRequest(describe(error)) from None


def check_text(raw: bytes, *, nesting: int = MAX_NESTING, limit_bytes: int = MAX_BODY_BYTES) -> None:
    """Refuse what a JSON parser lets through and Postgres, or a reader in another language, does not."""
    if len(raw) > limit_bytes:
        raise PayloadTooLarge(f"body: at most {limit_bytes} bytes, got {len(raw)}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"body: expected UTF-8, byte {error.start} is not") from None
    if b"\0" in raw:
        raise InvalidRequest("body: U+0000 is not allowed")
    if b"\\u" in raw:
        _check_escapes(raw)
    if raw.count(b"{") + raw.count(b"[") > nesting:
        _check_nesting(raw, nesting)
    if _written_digits(raw) > MAX_WRITTEN_DIGITS and _written_digits(_STRING.sub(b"", raw)) > MAX_WRITTEN_DIGITS:
        raise InvalidRequest(f"body: numbers of more than {MAX_WRITTEN_DIGITS} digits in all, written out")


def describe(error: Exception) -> str:
    """msgspec's words, with the field first: "`$.run.attempt`" becomes "run.attempt: expected …"."""
    match = _AT.match(str(error))
    if not isinstance(error, msgspec.ValidationError) or match is None:
        return "body: expected well-formed JSON"
    what = match["what"]
    path = (match["path"] or "$").removeprefix("$").removeprefix(".") or "body"
    if missing := re.fullmatch(r"Object missing required field `(?P<name>[^`]+)`", what):
        field = missing["name"] if path == "body" else f"{path}.{missing['name']}"
        return f"{field}: required, but missing"
    return f"{path}: {what[:1].lower()}{what[1:]}"


@cache
def _decoder(shape: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast(Any, shape))


def _check_escapes(raw: bytes) -> None:
    # Rare enough for the slow way: the standard parser keeps lone surrogates, so that they can be seen.
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest("body: expected well-formed JSON") from None
    text = json.dumps(parsed, ensure_ascii=False)
    if "\\u0000" in text and _has_nul(parsed):
        raise InvalidRequest("body: U+0000 is not allowed")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest("body: lone surrogates are not allowed") from None


def _has_nul(parsed: Any) -> bool:
    waiting = [parsed]
    while waiting:  # ends: each value is taken once
        value = waiting.pop()
        if isinstance(value, str):
            if "\0" in value:
                return True
        elif isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def _written_digits(raw: bytes) -> int:
    return sum(min(int(exponent[:9]), MAX_WRITTEN_DIGITS) for exponent in _EXPONENT.findall(raw))


def _check_nesting(raw: bytes, nesting: int) -> None:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        if bracket in b"[{":
            depth += 1
            if depth > nesting:
                raise InvalidRequest(f"body: at most {nesting} levels of nesting")
        else:
            depth -= 1
