"""Reading a request strictly: its body as a shape, and of its query and headers what the operation declares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from uniassist.contracts.base import MAX_ID_LENGTH
from uniassist.contracts.bounds import MAX_NESTING, MAX_VALUES
from uniassist.contracts.codec import decode
from uniassist.errors import InvalidRequest
from uniassist.web.auth import signing
from uniassist.web.bodies import read_body
from uniassist.web.operations import operation_of

T = TypeVar("T")

_MAX_QUERY_FIELDS = 32
_MAX_INT64 = 2**63 - 1
# Never reached: the server bounds a request's whole head.
_MAX_AUTHORIZATION = 64 * 1024


async def read_shape(
    request: Request, shape: type[T], *, nesting: int = MAX_NESTING, values: int = MAX_VALUES
) -> T:
    """The JSON body as `shape`, by the contract's one decode function."""
    body = await read_body(request)
    limit_bytes = operation_of(request).body_limit_bytes
    return decode(body, shape, nesting=nesting, limit_bytes=limit_bytes, values=values)


def query(request: Request) -> dict[str, str]:
    """The query fields that the operation declares; others are ignored. InvalidRequest for bad encoding, and for a
    field given twice.
    """
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
    wanted = operation_of(request).query
    return {name: value for name, value in fields.items() if name in wanted}


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
    wanted = _declared_header(request, name).encode("ascii")
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


def signature_headers(request: Request) -> Iterable[tuple[bytes, bytes]]:
    """All headers as ASGI has them, for an operation that declares those of a signature."""
    operation = operation_of(request)
    assert operation.headers.issuperset(signing.HEADERS), f"{operation.path} declares no signature"
    headers: Iterable[tuple[bytes, bytes]] = request.scope["headers"]
    return headers


def takes_webhooks(request: Request) -> bool:
    """Whether the operation declares the headers of Standard Webhooks."""
    return operation_of(request).headers.issuperset(signing.WEBHOOK_HEADERS)


def target(request: Request) -> signing.Target:
    """Method, path and query, as they were sent."""
    path: bytes = request.scope["raw_path"]
    query_string: bytes = request.scope["query_string"]
    return signing.Target(request.scope["method"], path + (b"?" + query_string if query_string else b""))


def _declared_header(request: Request, name: str) -> str:
    """`name` in lower case. What a handler reads is what its document says: a header that it forgot is a bug."""
    operation, wanted = operation_of(request), name.lower()
    assert wanted in operation.headers, f"{operation.method} {operation.path} reads {name}, but doesn't declare it"
    return wanted


def bearer_token(request: Request) -> str | None:
    """The token of `Authorization: Bearer <token>`, None when there is none or it isn't well-formed.

    One that is too long is as any other that isn't good: who reads it says so.
    """
    scheme, _, token = (header(request, "authorization", max_length=_MAX_AUTHORIZATION) or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _id(name: str, value: str, max_length: int = MAX_ID_LENGTH) -> str:
    if not 1 <= len(value) <= max_length:
        raise InvalidRequest(f"{name}: expected 1 to {max_length} characters")
    if "\0" in value:
        raise InvalidRequest(f"{name}: U+0000 is not allowed")
    return value
