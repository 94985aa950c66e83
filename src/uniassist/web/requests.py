"""Reading a request strictly: its body within a limit, its parameters and headers as clean text."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from starlette.requests import ClientDisconnect, Request

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.codec import MAX_BODY_BYTES, MAX_NESTING, decode
from uniassist.errors import InvalidRequest, PayloadTooLarge

T = TypeVar("T")

_MAX_QUERY_FIELDS = 32
_MAX_INT64 = 2**63 - 1
# A client cut off while it still sends sees a reset instead of its 413: hear a little more out, keep nothing.
_HEAR_OUT_BYTES = 16 * 1024 * 1024


async def read_body(request: Request, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. PayloadTooLarge over the limit, without keeping what came.

    How long a body may take is the server's to limit (`protocol.REQUEST_DEADLINE_SECONDS`): a timer here would
    cost every request what only a dawdler is due.
    """
    message = await request.receive()
    if not message.get("more_body") and message["type"] == "http.request":
        whole: bytes = message.get("body", b"")
        if len(whole) > limit_bytes:
            raise _too_large(limit_bytes)
        return whole
    kept, heard = bytearray(), 0
    while message["type"] == "http.request":  # ends: with the body, the client or the bound below
        chunk = message.get("body", b"")
        heard += len(chunk)
        if heard <= limit_bytes:
            kept += chunk
        else:
            kept.clear()
        if not message.get("more_body"):
            if heard > limit_bytes:
                raise _too_large(limit_bytes)
            return bytes(kept)
        if heard > _HEAR_OUT_BYTES:
            raise _too_large(limit_bytes)
        message = await request.receive()
    raise ClientDisconnect


async def read_shape(
    request: Request, shape: type[T], limit_bytes: int = MAX_BODY_BYTES, nesting: int = MAX_NESTING
) -> T:
    """The JSON body as `shape`, by the contract's one decode function."""
    return decode(await read_body(request, limit_bytes), shape, nesting=nesting, limit_bytes=limit_bytes)


def query(request: Request) -> dict[str, str]:
    """The query's fields. InvalidRequest for bad encoding, U+0000, or a field given twice."""
    raw: bytes = request.scope["query_string"]
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS
        )
    except ValueError:
        raise InvalidRequest(
            f"query: expected at most {_MAX_QUERY_FIELDS} fields, percent-encoded as UTF-8"
        ) from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise InvalidRequest(f"{name[:64]}: given more than once in the query")
        fields[name] = value
    return fields


def text_field(fields: dict[str, str], name: str) -> str:
    """A required id of a query: 1 to 256 characters."""
    if not fields.get(name):
        raise InvalidRequest(f"{name}: required in the query, but missing")
    return _id(name, fields[name])


def integer_field(fields: dict[str, str], name: str, *, default: int, low: int = 0, high: int = _MAX_INT64) -> int:
    """A decimal integer of a query, `default` when left out."""
    if name not in fields:
        return default
    return integer(name, fields[name], low=low, high=high)


def integer(name: str, text: str, *, low: int = 0, high: int = _MAX_INT64) -> int:
    """`text` as a decimal integer; `name` is what the error calls it."""
    digits = text.removeprefix("-")
    # int() alone also takes "+1", " 1", "1_000" and digits of other scripts
    if len(digits) <= 19 and digits.isascii() and digits.isdigit() and low <= int(text) <= high:
        return int(text)
    raise InvalidRequest(f"{name}: expected a decimal integer from {low} to {high}")


def path_field(request: Request, name: str, *, max_length: int = MAX_ID_LENGTH) -> str:
    """A path parameter as strict UTF-8: 1 to `max_length` characters."""
    value: str = request.scope["path_params"][name]
    try:
        unquote(request.scope["raw_path"].decode("ascii"), errors="strict")
    except ValueError:
        raise InvalidRequest(f"{name}: expected UTF-8, percent-encoded") from None
    return _id(name, value, max_length)


def header(request: Request, name: str, *, max_length: int = 4096) -> str | None:
    """A header's value, None when absent. InvalidRequest when given twice, not ASCII, or long."""
    wanted = name.lower().encode("ascii")
    found = [value for key, value in request.scope["headers"] if key == wanted]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidRequest(f"{name}: given more than once in the headers")
    if len(found[0]) > max_length:
        raise InvalidRequest(f"{name}: at most {max_length} characters")
    try:
        return bytes(found[0]).decode("ascii")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: expected ASCII") from None


def bearer_token(request: Request) -> str | None:
    """The token of `Authorization: Bearer <token>`, None when there is none or it isn't well-formed."""
    scheme, _, token = (header(request, "authorization") or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _id(name: str, value: str, max_length: int = MAX_ID_LENGTH) -> str:
    if not 1 <= len(value) <= max_length:
        raise InvalidRequest(f"{name}: expected 1 to {max_length} characters")
    if "\0" in value:
        raise InvalidRequest(f"{name}: U+0000 is not allowed")
    return value


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"body: at most {limit_bytes} bytes")
