"""Signed requests of channel adapters, in three forms. Pure.

`1`: hex HMAC-SHA256 of `<timestamp>.<nonce>.<raw body>`; of a read, path and query stand in the body's place.
`2`: hex HMAC-SHA256 of `<timestamp>.<nonce>.<METHOD>.<path?query>.<raw body>`, said in a header of its own: what is
signed for one route is worth nothing on another.
`webhooks`: Standard Webhooks (https://www.standardwebhooks.com), `v1,<base64>` of `<id>.<timestamp>.<raw body>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlencode

from uniassist.errors import InvalidSignature

SIGNATURE_HEADER = "x-uniassist-signature"
TIMESTAMP_HEADER = "x-uniassist-timestamp"
NONCE_HEADER = "x-uniassist-nonce"
VERSION_HEADER = "x-uniassist-signature-version"
WEBHOOK_ID_HEADER = "webhook-id"
WEBHOOK_TIMESTAMP_HEADER = "webhook-timestamp"
WEBHOOK_SIGNATURE_HEADER = "webhook-signature"
HEADERS = (SIGNATURE_HEADER, TIMESTAMP_HEADER, NONCE_HEADER)
WEBHOOK_HEADERS = (WEBHOOK_ID_HEADER, WEBHOOK_TIMESTAMP_HEADER, WEBHOOK_SIGNATURE_HEADER)
_OURS = frozenset(name.encode() for name in (*HEADERS, VERSION_HEADER))
_WEBHOOKS = frozenset(name.encode() for name in WEBHOOK_HEADERS)
MAX_SKEW_MS = 5 * 60 * 1000
_MOST_FIELDS = 32
# The prefix of a secret that is given in base64, as Standard Webhooks has it.
_BASE64_SECRET = "whsec_"  # noqa: S105 - no secret

_READS = ("GET", "HEAD")

Form = Literal["1", "2", "webhooks"]
FORMS: tuple[Form, ...] = get_args(Form)
RawHeaders = Iterable[tuple[bytes, bytes]]

_SIGNATURE = re.compile(rb"[0-9a-fA-F]{64}")
_TIMESTAMP = re.compile(rb"[0-9]{1,16}")
# No dot: it would let "<nonce>.<start of the body>" pass for a fresh nonce over the rest of the body.
_NONCE = re.compile(rb"[!-\-/-~]{1,256}")
_VERSION = re.compile(rb"[12]")
_WEBHOOK_SECONDS = re.compile(rb"[0-9]{1,13}")
_WEBHOOK_SIGNATURES = re.compile(rb"[!-~]{1,512}(?: [!-~]{1,512}){0,7}")


@dataclass(frozen=True)
class Target:
    """What a request is made of: `path_and_query` as it was sent."""

    method: str
    path_and_query: bytes

    def forms(self) -> tuple[bytes, ...]:
        """As it was sent and, since clients and proxies encode a query anew on the way, as `urlencode` has it."""
        same = canonical(self.path_and_query)
        return (same,) if same == self.path_and_query else (same, self.path_and_query)


@dataclass(frozen=True)
class Signature:
    """What the headers of a signed request say, which is well-formed and in time, and not believed yet.

    `nonce`: what is used up once it is believed.
    `digests`: any of them must be right.
    `message_id`: under which the sender will repeat it; None: it has no say in that.
    """

    form: Form
    timestamp: bytes
    nonce: str
    digests: tuple[bytes, ...]
    message_id: str | None = None

    def check(self, secrets: Sequence[str], target: Target, body: bytes) -> None:
        """InvalidSignature unless it was made under one of `secrets` (several while one is being changed).

        Of a read there is no body, whatever came. Whether the nonce was used before is the caller's to check, after
        this and in the transaction that writes.
        """
        good = False
        for signed in self._messages(target, b"" if target.method in _READS else body):
            for secret in secrets:  # all of them, always: the time taken doesn't tell which one matched
                digest = _digest(secret, signed, self.form)
                for given in self.digests:
                    good |= hmac.compare_digest(digest, given)
        if not good:
            what = "method, path, query and body" if self.form == "2" else "body"
            name = WEBHOOK_SIGNATURE_HEADER if self.form == "webhooks" else SIGNATURE_HEADER
            raise InvalidSignature(f"{name}: doesn't match this timestamp, nonce and {what}")

    def _messages(self, target: Target, body: bytes) -> list[bytes]:
        if self.form == "webhooks":
            assert self.message_id is not None
            return [b"%b.%b.%b" % (self.message_id.encode("ascii"), self.timestamp, body)]
        begin = b"%b.%b." % (self.timestamp, self.nonce.encode("ascii"))
        if self.form == "2":
            method = target.method.encode("ascii")
            return [begin + b"%b.%b.%b" % (method, each, body) for each in target.forms()]
        return [begin + (canonical(target.path_and_query) if target.method in _READS else body)]


def canonical(path_and_query: bytes) -> bytes:
    """The query's fields in their order, encoded as `urlencode` does.

    A query of more fields than any call takes stays as it was sent: nobody is believed yet, and each field costs.
    """
    path, _, query = path_and_query.partition(b"?")
    if query.count(b"&") >= _MOST_FIELDS:
        return path_and_query
    fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return path + (b"?" + urlencode(fields).encode("ascii") if fields else b"")


def fresh_nonce() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def sign(secret: str, body: bytes, *, now_ms: int, nonce: str) -> dict[str, str]:
    """The headers of form 1 to send with `body`, exactly these bytes. A nonce is used once."""
    timestamp = str(now_ms)
    signed = b"%b.%b.%b" % (timestamp.encode("ascii"), _checked(nonce), body)
    return {
        SIGNATURE_HEADER: _digest(secret, signed, "1").decode("ascii"),
        TIMESTAMP_HEADER: timestamp,
        NONCE_HEADER: nonce,
    }


def sign_request(secret: str, target: Target, body: bytes, *, now_ms: int, nonce: str) -> dict[str, str]:
    """The headers of form 2 to send with the request, exactly this one. A nonce is used once."""
    timestamp = str(now_ms)
    method = target.method.encode("ascii")
    signed = b"%b.%b.%b.%b.%b" % (
        timestamp.encode("ascii"),
        _checked(nonce),
        method,
        canonical(target.path_and_query),
        b"" if target.method in _READS else body,
    )
    return {
        SIGNATURE_HEADER: _digest(secret, signed, "2").decode("ascii"),
        TIMESTAMP_HEADER: timestamp,
        NONCE_HEADER: nonce,
        VERSION_HEADER: "2",
    }


def is_signed(headers: RawHeaders) -> bool:
    """Whether the request claims to be signed, by any header of any form."""
    return any(name.lower() in _OURS or name.lower() in _WEBHOOKS for name, _ in headers)


def read(headers: RawHeaders, now_ms: int, accepted: Collection[Form] = FORMS) -> Signature:
    """The signature that the headers claim, before anything of the body is read.

    `headers`: ASGI's raw ones. InvalidSignature says which header is at fault.
    """
    given = list(headers)
    ours = any(name.lower() in _OURS for name, _ in given)
    if ours and any(name.lower() in _WEBHOOKS for name, _ in given):
        raise InvalidSignature(f"{WEBHOOK_SIGNATURE_HEADER}: given beside {SIGNATURE_HEADER}; expected one of them")
    found = _read_ours(given) if ours else _read_webhook(given)
    if found.form not in accepted:
        raise InvalidSignature(
            f"{_name_of(found.form)}: form {found.form} isn't taken here; see UNIASSIST_SIGNATURES"
        )
    at_ms = int(found.timestamp) * (1000 if found.form == "webhooks" else 1)
    if abs(at_ms - now_ms) > MAX_SKEW_MS:
        name = WEBHOOK_TIMESTAMP_HEADER if found.form == "webhooks" else TIMESTAMP_HEADER
        raise InvalidSignature(f"{name}: more than {MAX_SKEW_MS // 60_000} minutes off this clock")
    return found


def _read_ours(given: list[tuple[bytes, bytes]]) -> Signature:
    form: Form = "1"
    if any(name.lower() == VERSION_HEADER.encode("ascii") for name, _ in given):
        form = "2" if _one(given, VERSION_HEADER, _VERSION, "1 or 2") == b"2" else "1"
    signature = _one(given, SIGNATURE_HEADER, _SIGNATURE, "64 hex digits").lower()
    timestamp = _one(given, TIMESTAMP_HEADER, _TIMESTAMP, "Unix milliseconds")
    nonce = _one(given, NONCE_HEADER, _NONCE, "1 to 256 visible ASCII characters other than a dot")
    return Signature(form, timestamp, nonce.decode("ascii"), (signature,))


def _read_webhook(given: list[tuple[bytes, bytes]]) -> Signature:
    message_id = _one(given, WEBHOOK_ID_HEADER, _NONCE, "1 to 256 visible ASCII characters other than a dot")
    timestamp = _one(given, WEBHOOK_TIMESTAMP_HEADER, _WEBHOOK_SECONDS, "Unix seconds")
    shown = _one(given, WEBHOOK_SIGNATURE_HEADER, _WEBHOOK_SIGNATURES, "v1,<base64>, several with blanks between")
    # Other versions are of schemes that we have no key for; a sender may show them beside.
    digests = tuple(each[3:] for each in shown.split(b" ") if each.startswith(b"v1,"))
    if not digests:
        raise InvalidSignature(f"{WEBHOOK_SIGNATURE_HEADER}: expected v1,<base64>")
    name = message_id.decode("ascii")
    # A sender that repeats a message keeps its id, and signs anew: the attempt is what is used up.
    return Signature("webhooks", timestamp, f"webhook:{name}:{timestamp.decode('ascii')}", digests, name)


def _name_of(form: Form) -> str:
    return {"1": SIGNATURE_HEADER, "2": VERSION_HEADER, "webhooks": WEBHOOK_SIGNATURE_HEADER}[form]


def _digest(secret: str, signed: bytes, form: Form) -> bytes:
    if not secret:
        raise ValueError("an empty secret signs nothing")
    if form != "webhooks":
        return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode("ascii")
    return base64.b64encode(hmac.new(_webhook_key(secret), signed, hashlib.sha256).digest())


def _webhook_key(secret: str) -> bytes:
    """The bytes that `whsec_<base64>` stands for; of any other secret, its own."""
    if not secret.startswith(_BASE64_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_BASE64_SECRET), validate=True)
    except binascii.Error:
        return secret.encode()


def _checked(nonce: str) -> bytes:
    if _NONCE.fullmatch(nonce.encode()) is None:
        raise ValueError("nonce: expected 1 to 256 visible ASCII characters other than a dot")
    return nonce.encode("ascii")


def _one(headers: list[tuple[bytes, bytes]], name: str, form: re.Pattern[bytes], expected: str) -> bytes:
    wanted = name.encode("ascii")
    found = [value for key, value in headers if key.lower() == wanted]
    if not found:
        raise InvalidSignature(f"{name}: required, but missing")
    if len(found) > 1:
        raise InvalidSignature(f"{name}: given more than once")
    if form.fullmatch(found[0]) is None:
        raise InvalidSignature(f"{name}: expected {expected}")
    return found[0]
