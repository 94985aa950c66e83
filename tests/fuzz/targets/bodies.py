"""The codec: a body as the shapes that strangers send, and as anything."""

from __future__ import annotations

import contextlib
from typing import Any

from uniassist.contracts import codec, examples
from uniassist.contracts.inputs import UnifiedUserInput, UserInteraction
from uniassist.contracts.provider import ProviderEventsRequest
from uniassist.errors import InvalidRequest, PayloadTooLarge

_SHAPES = (UnifiedUserInput, UserInteraction, ProviderEventsRequest)
SEEDS = [
    codec.encode(examples.INPUT),
    codec.encode(examples.INTERACTION),
    codec.encode(examples.CANCELLATION),
    codec.encode(examples.PROVIDER_EVENTS),
    b'{"schemaVersion":"v0","raw":{"a":[1,2.5,-3e7,true,null,"\\u4f60\\ud83d\\ude00\\n"]}}',
]
TOKENS = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\\\", b'\\"', b"[]", b"{}", b"[],", b"{},", b'{"a":'),
    *(
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b"\\uD83D\\uDE00",
        b"\\u4f60",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
    ),
    *(
        b"1",
        b"0",
        b"-",
        b".",
        b"1e9",
        b"e",
        b"E+",
        b"1e308,",
        b"9" * 400,
        b"true",
        b"false",
        b"null",
        b"NaN",
        b"Infinity",
    ),
    *(
        b" ",
        b"\t",
        b"\r\n",
        b'"a":1,',
        b'"a",',
        b'"text":"',
        b'"raw":',
        b'"userId":',
        b"\xef\xbb\xbf",
        "你好".encode(),
    ),
]


def check(raw: bytes) -> None:
    """Read or refused; what was let through can be written, read again, and stored."""
    for shape in _SHAPES:
        with contextlib.suppress(InvalidRequest, PayloadTooLarge):
            codec.decode(raw, shape)
    try:
        found: Any = codec.decode(raw, Any)
    except (InvalidRequest, PayloadTooLarge):
        return
    written = codec.encode(found)
    assert b"\\u0000" not in written.replace(b"\\\\", b""), "U+0000 was let through, which Postgres can't store"
    written.decode("utf-8")
