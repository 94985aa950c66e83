"""Signatures: only the exact bytes, under a known secret, in time, with untricked headers."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uniassist.errors import InvalidSignature
from uniassist.web.auth import signing

NOW = 1_700_000_000_000
SECRET = "a-secret-of-the-tests"
BODY = b'{"text": "hello"}'

SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
NONCES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1, max_size=256
)

Raw = list[tuple[bytes, bytes]]


def raw(headers: dict[str, str]) -> Raw:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def verify(headers: Iterable[tuple[bytes, bytes]], body: bytes, secrets: list[str], now_ms: int) -> str:
    """The nonce of a POST."""
    found = signing.read(headers, now_ms)
    found.check(secrets, signing.Target("POST", b"/v0/ingest"), body)
    return found.nonce


def signed(**changed: str) -> Raw:
    return raw(signing.sign(SECRET, BODY, now_ms=NOW, nonce="nonce-1") | changed)


@given(secret=SECRETS, body=st.binary(max_size=2048), nonce=NONCES, skew=st.integers(-300_000, 300_000))
def test_what_is_signed_verifies(secret: str, body: bytes, nonce: str, skew: int) -> None:
    headers = raw(signing.sign(secret, body, now_ms=NOW, nonce=nonce))
    assert verify(headers, body, [secret], NOW + skew) == nonce
    assert signing.is_signed(headers)


def test_the_digest_is_the_contracts() -> None:
    expected = hmac.new(SECRET.encode(), f"{NOW}.nonce-1.".encode() + BODY, hashlib.sha256).hexdigest()
    assert signing.sign(SECRET, BODY, now_ms=NOW, nonce="nonce-1") == {
        "x-uniassist-signature": expected,
        "x-uniassist-timestamp": str(NOW),
        "x-uniassist-nonce": "nonce-1",
    }


@given(body=st.binary(max_size=512), other=st.binary(max_size=512))
def test_another_body_is_refused(body: bytes, other: bytes) -> None:
    assume(body != other)
    headers = raw(signing.sign(SECRET, body, now_ms=NOW, nonce="n"))
    with pytest.raises(InvalidSignature):
        verify(headers, other, [SECRET], NOW)


@given(right=SECRETS, wrong=SECRETS)
def test_another_secret_is_refused(right: str, wrong: str) -> None:
    # HMAC pads a key with zeros: keys that differ only in trailing ones are the same key
    assume(right.rstrip("\0") != wrong.rstrip("\0"))
    headers = raw(signing.sign(right, BODY, now_ms=NOW, nonce="n"))
    with pytest.raises(InvalidSignature, match="doesn't match"):
        verify(headers, BODY, [wrong], NOW)


@given(body=st.binary(min_size=1, max_size=256), cut=st.integers(0, 256))
def test_the_border_between_nonce_and_body_cannot_be_moved(body: bytes, cut: int) -> None:
    headers = dict(raw(signing.sign(SECRET, b"x." + body, now_ms=NOW, nonce="n")))
    headers[b"x-uniassist-nonce"] = b"n." + (b"x." + body)[:cut]
    with pytest.raises(InvalidSignature):
        verify(headers.items(), (b"x." + body)[cut:].removeprefix(b"."), [SECRET], NOW)


def test_two_secrets_are_valid_while_one_is_being_changed() -> None:
    for secret in ("new", "old"):
        headers = raw(signing.sign(secret, BODY, now_ms=NOW, nonce="n"))
        assert verify(headers, BODY, ["new", "old"], NOW) == "n"


@pytest.mark.parametrize("off", [-300_001, 300_001, -(10**12), 10**12])
def test_a_timestamp_more_than_five_minutes_off_is_refused(off: int) -> None:
    with pytest.raises(InvalidSignature, match="timestamp"):
        verify(signed(), BODY, [SECRET], NOW + off)


@pytest.mark.parametrize("missing", ["signature", "timestamp", "nonce"])
def test_each_header_is_required_and_given_once(missing: str) -> None:
    name = f"x-uniassist-{missing}".encode()
    without = [(key, value) for key, value in signed() if key != name]
    with pytest.raises(InvalidSignature, match=f"{missing}: required"):
        verify(without, BODY, [SECRET], NOW)
    twice = [*signed(), (name.upper(), dict(signed())[name])]
    with pytest.raises(InvalidSignature, match=f"{missing}: given more than once"):
        verify(twice, BODY, [SECRET], NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature", ""),
        ("signature", "0" * 63),
        ("signature", "0" * 65),
        ("signature", "g" * 64),
        ("signature", "０" * 32),
        ("signature", " " + "0" * 63),
        ("signature", "0" * 100_000),
        ("timestamp", "now"),
        ("timestamp", f"+{NOW}"),
        ("timestamp", f"{NOW}.0"),
        ("timestamp", f"{NOW} "),
        ("timestamp", f"{NOW}\n"),
        ("timestamp", "9" * 5000),
        ("timestamp", "-1"),
        ("nonce", ""),
        ("nonce", "a b"),
        ("nonce", "a.b"),
        ("nonce", "a\x00"),
        ("nonce", "é"),
        ("nonce", "n" * 257),
    ],
)
def test_malformed_headers_are_refused_by_name(name: str, value: str) -> None:
    header = f"x-uniassist-{name}"
    headers = [(key, value.encode() if key == header.encode() else kept) for key, kept in signed()]
    with pytest.raises(InvalidSignature, match=f"{header}: expected"):
        verify(headers, BODY, [SECRET], NOW)


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-uniassist-signature", b"x-uniassist-timestamp", b"x-uniassist-nonce", b"other"]),
            st.binary(max_size=80),
        )
    ),
    body=st.binary(max_size=64),
)
def test_nothing_forged_passes_or_breaks(headers: Raw, body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(headers, body, [SECRET], NOW)


def test_upper_case_hex_is_hex() -> None:
    headers = signing.sign(SECRET, BODY, now_ms=NOW, nonce="n")
    headers["x-uniassist-signature"] = headers["x-uniassist-signature"].upper()
    assert verify(raw(headers), BODY, [SECRET], NOW) == "n"


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty secret"):
        signing.sign("", BODY, now_ms=NOW, nonce="n")
    with pytest.raises(ValueError, match="empty secret"):
        verify(signed(), BODY, [""], NOW)


def test_fresh_nonces_differ() -> None:
    assert len({signing.fresh_nonce() for _ in range(100)}) == 100


def test_an_unsigned_request_claims_nothing() -> None:
    assert not signing.is_signed([(b"host", b"x"), (b"x-uniassist-other", b"y")])


def test_a_query_of_many_fields_costs_a_stranger_more_than_us() -> None:
    def seconds(fields: int) -> float:
        target = signing.Target("GET", b"/v0/timeline?" + b"a=1&" * fields)
        headers = signing.sign_request("another" * 5, target, b"", now_ms=NOW, nonce="n")
        found = signing.read(raw(headers), NOW)
        least = float("inf")
        for _ in range(5):
            began = time.thread_time()
            with pytest.raises(InvalidSignature):
                found.check(["s" * 32], target, b"")
            least = min(least, time.thread_time() - began)
        return least

    assert seconds(8000) < 3 * seconds(30) + 0.001, "8,000 fields were read one by one"
