"""A signed request: a line `METHOD path?query`, a line for each header, an empty line, a body."""

from __future__ import annotations

import contextlib

from uniassist.errors import InvalidSignature
from uniassist.web.auth import signing
from uniassist.web.auth.signing import Target

_NOW_MS = 1_772_323_200_000
_SECRETS = ("s" * 32, "whsec_" + "c2VjcmV0" * 4)


def _written(target: Target, headers: dict[str, str], body: bytes) -> bytes:
    head = [f"{target.method} ".encode() + target.path_and_query]
    return b"\n".join([*head, *(f"{name}: {value}".encode() for name, value in headers.items()), b"", body])


_INGEST, _READ = Target("POST", b"/v0/ingest"), Target("GET", b"/v0/timeline?sessionId=s%201&cursor=0")
SEEDS = [
    _written(
        _INGEST, signing.sign_request(_SECRETS[0], _INGEST, b'{"a":1}', now_ms=_NOW_MS, nonce="n1"), b'{"a":1}'
    ),
    _written(_READ, signing.sign_request(_SECRETS[0], _READ, b"", now_ms=_NOW_MS, nonce="n2"), b""),
    _written(_INGEST, signing.sign(_SECRETS[1], b"{}", now_ms=_NOW_MS, nonce="n3"), b"{}"),
    _written(
        _INGEST,
        {
            "webhook-id": "m1",
            "webhook-timestamp": str(_NOW_MS // 1000),
            "webhook-signature": "v1,AAAA v1a,BBBB v1,CCCC",
        },
        b"{}",
    ),
]
TOKENS = [
    *(
        b"\n",
        b"\n\n",
        b": ",
        b"POST ",
        b"GET ",
        b"/v0/ingest",
        b"?",
        b"&",
        b"=",
        b";",
        b"%",
        b"%00",
        b"%ff",
        b"a=1&",
        b"+",
        b"#",
    ),
    *(f"\n{name}: ".encode() for name in (*signing.HEADERS, signing.VERSION_HEADER, *signing.WEBHOOK_HEADERS)),
    *(
        b"0",
        b"9",
        b"-",
        b".",
        b"1",
        b"2",
        b"v1,",
        b" v1,",
        b" v2,",
        b"f" * 64,
        str(_NOW_MS).encode(),
        b"\xff",
        b"\xc3\xa9",
        b"\t",
        b" ",
    ),
]


def check(raw: bytes) -> None:
    """Refused in its words, or signed by one of ours; and what is signed isn't signed for another route or body."""
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, path = first.partition(b" ")
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    # a server hands on no other method than one in ASCII
    target = Target(method.decode("ascii", "replace").replace("\ufffd", "?"), path)
    signing.is_signed(headers)
    with contextlib.suppress(InvalidSignature):
        found = signing.read(headers, _NOW_MS)
        found.check(_SECRETS, target, body)
        _holds_for_this_only(found, target, body)
    nonce = "n" + str(len(raw))
    made = signing.sign_request(_SECRETS[0], target, body, now_ms=_NOW_MS, nonce=nonce)
    signing.read([(name.encode(), value.encode()) for name, value in made.items()], _NOW_MS).check(
        _SECRETS, target, body
    )


def _holds_for_this_only(found: signing.Signature, target: Target, body: bytes) -> None:
    if target.method not in ("GET", "HEAD"):
        assert not _is_good(found, target, body + b" "), "good for another body"
    if found.form == "2":
        assert not _is_good(found, Target(target.method + "X", target.path_and_query), body), (
            "good for another method"
        )
        assert not _is_good(found, Target(target.method, b"/x" + target.path_and_query), body), (
            "good for another path"
        )


def _is_good(found: signing.Signature, target: Target, body: bytes) -> bool:
    try:
        found.check(_SECRETS, target, body)
    except InvalidSignature:
        return False
    return True
