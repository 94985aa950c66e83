"""The one decode function of every service: all that the contract says of a JSON body, in one place."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from uniassist.contracts.bounds import MAX_BODY_BYTES, MAX_NESTING, MAX_VALUES, check_text
from uniassist.errors import InvalidRequest

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    return _encoder.encode(value)


def decode(
    raw: bytes,
    shape: type[T],
    *,
    nesting: int = MAX_NESTING,
    limit_bytes: int = MAX_BODY_BYTES,
    values: int = MAX_VALUES,
) -> T:
    """Read `raw` as `shape` or raise InvalidRequest that names the field and what was expected.

    More `nesting`, bytes and `values` are for who gets a body of the contract's wrapped in another.
    """
    check_text(raw, nesting=nesting, limit_bytes=limit_bytes, values=values)
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
