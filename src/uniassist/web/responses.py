"""Answers as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from uniassist.contracts.codec import encode


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value`, a msgspec type or plain, as compact JSON."""
    return Response(encode(value), status, headers, "application/json")
